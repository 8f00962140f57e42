"""APEBench's scrapes: both halves, names with commas and equal signs, units where there are any."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import detect, get, open_layout
from sciops.data.windows import Window, Windows

DATA = Path(__file__).parents[4] / "shared" / "data" / "apebench_npy"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
NAME = "2d_phy_gs, n=3"
INFO = {
    "num_spatial_dims": 2, "num_points": 5, "num_channels": 2, "ic_config": "fourier;5;true;true",
    "train_seed": 0, "vlim": [-1.0, 1.0], "domain_extent": 2.5, "dt": 20.0, "conservative": True,
    "feed_rate": 0.04, "vector": [0.01, -0.04], "matrix": [[1.0, 2.0], [3.0, 4.0]], "order": 2,
}  # fmt: skip


def write(folder, info=INFO, train=(3, 4), test=(2, 6), seed=0):
    rng = np.random.default_rng(seed)
    (folder / f"{NAME}.json").write_text(json.dumps({"name": NAME, "info": info}))
    space = (info["num_points"],) * info["num_spatial_dims"]
    arrays = []
    for subset, shape in (("train", train), ("test", test)):
        values = rng.normal(size=(*shape, info["num_channels"], *space)).astype(np.float32)
        np.save(folder / f"{NAME}_{subset}.npy", values)
        arrays.append(values)
    return arrays


def test_folder_and_json_give_both_subsets(tmp_path):
    train, test = write(tmp_path)
    for path in (tmp_path, tmp_path / f"{NAME}.json"):
        layout = open_layout(path)
        assert layout.format == "apebench"
        assert layout.subsets() == {"train": [0, 1, 2], "test": [3, 4]}
        assert layout.lengths.tolist() == [4, 4, 4, 6, 6]
        np.testing.assert_array_equal(reader.read(layout, "u", 2), np.moveaxis(train[2], 1, -1))
        np.testing.assert_array_equal(
            reader.read(layout, "u", 4, slice(1, 3)), np.moveaxis(test[1, 1:3], 1, -1)
        )


def test_no_sample_of_the_tiny_one_is_in_both_subsets(tmp_path):
    layout = open_layout(get("apebench").write_tiny(tmp_path))
    read = [reader.read(layout, "u", s).tobytes() for s in range(layout.n_samples)]
    assert len(set(read)) == layout.n_samples == 3


def test_channels_come_before_space(tmp_path):
    train, _ = write(tmp_path)
    layout = open_layout(tmp_path / f"{NAME}_train.npy")
    assert layout.n_samples == 3
    windows = pickle.loads(pickle.dumps(Windows(layout, window=Window(history=2))))
    np.testing.assert_array_equal(windows[0]["inputs"], train[0, :2].reshape(4, 5, 5))
    np.testing.assert_array_equal(windows[0]["targets"][0], train[0, 2])
    assert isinstance(reader.source(layout.parts[0].arrays["u"][0]).base, np.memmap)


def test_physical_units_and_parameters(tmp_path):
    write(tmp_path)
    layout = open_layout(tmp_path)
    axis = layout.schema.axis("x")
    assert (axis.spacing, axis.upper, axis.coordinates[1]) == ("periodic", 2.5, 0.5)
    assert layout.schema.boundary_kind("y", "upper") == "periodic"
    assert layout.schema.dt == 20.0
    assert layout.times(4).tolist() == [0, 20, 40, 60, 80, 100]
    found = dict(zip([v.name for v in layout.schema.params], layout.params(0), strict=True))
    assert found == {
        "feed_rate": 0.04, "vector_0": 0.01, "vector_1": -0.04,
        "matrix_0_0": 1, "matrix_0_1": 2, "matrix_1_0": 3, "matrix_1_1": 4,
    }  # fmt: skip
    assert layout.provenance["feed_rate"] == "JSON of the scenario"
    assert json.loads(layout.attributes["scenario"]) == INFO


def test_normalised_scenarios_have_no_times(tmp_path):
    write(tmp_path, {k: v for k, v in INFO.items() if k not in ("domain_extent", "dt")})
    layout = open_layout(tmp_path)
    assert layout.schema.dt is None
    assert np.isnan(layout.times(0)).all()
    assert len(layout.notes) == 2


def test_one_channel_is_a_scalar(tmp_path):
    info = {**INFO, "num_channels": 1, "num_spatial_dims": 1}
    train, _ = write(tmp_path, info)
    np.testing.assert_array_equal(reader.read(open_layout(tmp_path), "u", 1), train[1, :, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_points": 6}, "after its JSON file"),
        ({"num_channels": 3}, "after its JSON file"),
        ({"num_spatial_dims": 4}, "1, 2 or 3"),
        ({"num_spatial_dims": -1}, "positive whole number"),
        ({"num_points": 10**400}, "positive whole number"),
        ({"dt": 0}, "positive number"),
        ({"domain_extent": "wide"}, "positive number"),
    ],
)
def test_json_that_contradicts_the_arrays(tmp_path, change, message):
    write(tmp_path)
    (tmp_path / f"{NAME}.json").write_text(json.dumps({"name": "x", "info": {**INFO, **change}}))
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path)


def test_several_scenarios_are_named(tmp_path):
    write(tmp_path)
    (tmp_path / "b.json").write_text(json.dumps({"name": "b", "info": INFO}))
    np.save(tmp_path / "b_test.npy", np.zeros((1, 2, 2, 5, 5), np.float32))
    assert detect(tmp_path)[0] == "apebench"
    with pytest.raises(DataError, match="2; open one of"):
        open_layout(tmp_path)


def test_arrays_alone_are_not_recognised(tmp_path):
    np.save(tmp_path / "a_train.npy", np.zeros((1, 2, 1, 5)))
    with pytest.raises(DataError):
        open_layout(tmp_path / "a_train.npy")
    (tmp_path / "a.json").write_text('{"other": 1}')
    with pytest.raises(DataError):
        open_layout(tmp_path)


@genuine
def test_genuine_burgers():
    (file,) = DATA.glob("*_test.npy")
    layout = open_layout(file)
    assert layout.subsets() == {"test": list(range(5))}
    np.testing.assert_array_equal(reader.read(layout, "u", 3), np.load(file)[3, :, 0])
    assert layout.schema.axis("x").spacing == "periodic"
    assert dict(zip([v.name for v in layout.schema.params], layout.params(0), strict=True))[
        "gammas_2"
    ] == pytest.approx(1.5)
