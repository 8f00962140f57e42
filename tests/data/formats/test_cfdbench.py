"""CFDBench: every defect of the authors' loader is named by a test; ours is right in each."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path

import numpy as np
import pytest

from sciops.core.errors import ConfigError, DataError, SchemaError
from sciops.data import reader
from sciops.data.formats._cfdbench import fluid, read_case
from sciops.data.formats.cfdbench import frame_stride
from sciops.data.formats.cfdbench_legacy import legacy_split, legacy_stride
from sciops.data.open import detect, open_layout
from sciops.data.windows import Window, Windows
from sciops.data.xarray_backend import open_dataset

DATA = Path(__file__).parents[4] / "shared" / "data" / "synthetic_cfdbench"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with example files is not beside the checkout"
)

NY, NX = 5, 7
CAVITY = {"vel_top": 10.0, "density": 1, "viscosity": 1e-5, "height": 0.01, "width": 0.02}
TUBE = {"vel_in": 2.0, "density": 100.0, "viscosity": 0.1, "height": 0.1, "width": 1.0}
DAM = {
    "case_no": 3.0, "velocity": 0.5, "density": 100.0, "viscosity": 0.1, "barrier_height": 0.15,
    "barrier_width": 0.07, "height": 0.4, "width": 1.5, "dx": 0.0234375, "dy": 0.00625,
}  # fmt: skip
CYLINDER = {
    "vel_in": 1.0, "density": 10.0, "viscosity": 1e-3, "radius": 0.01,
    "x_min": -0.06, "x_max": 0.16, "y_min": -0.06, "y_max": 0.06,
}  # fmt: skip


def write_case(folder, params, frames=3, shape=(NY, NX), seed=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(2, frames, *shape)).astype(np.float32)
    np.save(folder / "u.npy", u)
    np.save(folder / "v.npy", v)
    (folder / "case.json").write_text(json.dumps(params), encoding="utf-8")
    return u, v


def test_axes_lengths_and_parameters_of_every_case(tmp_path):
    there = {}
    for k, (subset, number, frames) in enumerate(
        [("bc", 10, 4), ("bc", 9, 2), ("prop", 0, 3), ("geo", 1, 5)]
    ):
        params = {**CAVITY, "vel_top": 1.0 + k}
        folder = tmp_path / "cavity" / subset / f"case{number:04d}"
        there[subset, number] = (*write_case(folder, params, frames, seed=k), 1.0 + k)
    layout = open_layout(tmp_path / "cavity")
    assert layout.format == "cfdbench"
    order = [("prop", 0), ("bc", 9), ("bc", 10), ("geo", 1)]  # the authors' order of subsets
    assert layout.lengths.tolist() == [3, 2, 4, 5]
    for sample, key in enumerate(order):
        u, v, speed = there[key]
        velocity = reader.read(layout, "velocity", sample)
        np.testing.assert_array_equal(velocity, np.stack([u, v], axis=-1))
        assert layout.params(sample).tolist() == [speed, 1.0, 1e-5, 0.01, 0.02]
    assert layout.schema["velocity"].domain.names == ("y", "x")
    y, x = layout.schema["velocity"].domain.axes
    assert (y.size, y.upper, x.size, x.upper) == (NY, 0.01, NX, 0.02)
    np.testing.assert_allclose(layout.times(2), [0, 0.1, 0.2, 0.3])
    assert layout.provenance["vel_top"] == "case.json, vel_top"
    dataset = open_dataset(tmp_path / "cavity")
    assert dataset["velocity"].dims == ("sample", "time", "y", "x", "component")
    assert np.isnan(dataset["velocity"].values[1, 2:]).all()


def test_parameters_do_not_follow_the_order_of_the_json_keys(tmp_path):
    write_case(tmp_path / "a" / "case0000", CAVITY)
    write_case(tmp_path / "b" / "case0000", dict(reversed(CAVITY.items())))
    one, other = open_layout(tmp_path / "a"), open_layout(tmp_path / "b")
    assert [v.name for v in one.schema.params] == list(CAVITY)
    assert one.schema.params == other.schema.params
    np.testing.assert_array_equal(one.params(0), other.params(0))


def test_the_inlet_velocity_of_dam_does_not_hide_the_field(tmp_path):
    write_case(tmp_path / "case0000", DAM)
    layout = open_layout(tmp_path)
    assert [v.name for v in layout.schema.params][0] == "vel_in"
    assert layout.params(0)[0] == 0.5
    assert layout.provenance["vel_in"] == "case.json, velocity"
    assert open_dataset(tmp_path)["velocity"].ndim == 5


def test_varying_geometry_lies_on_a_relative_grid(tmp_path):
    write_case(tmp_path / "geo" / "case0000", CAVITY)
    write_case(tmp_path / "geo" / "case0001", {**CAVITY, "height": 0.05})
    layout = open_layout(tmp_path / "geo")
    for axis in layout.schema["velocity"].domain.axes:
        assert (axis.lower, axis.upper, axis.unit) == (0, 1, None)
    assert any("varies" in note for note in layout.notes)
    assert layout.params(1)[3] == 0.05


@pytest.mark.parametrize(
    ("params", "flow", "dt", "sides"),
    [
        (CAVITY, "cavity", 0.1, ("wall", "wall", "wall", "dirichlet")),
        (TUBE, "tube", 0.1, ("inflow", "outflow", "wall", "wall")),
        (DAM, "dam", 0.1, ("inflow", "outflow", "wall", "unknown")),
        (CYLINDER, "cylinder", 0.001, ("inflow", "outflow", "wall", "wall")),
    ],
)
def test_flow_is_told_by_its_parameters(tmp_path, params, flow, dt, sides):
    write_case(tmp_path / "case0000", params)
    layout = open_layout(tmp_path / "case0000")
    assert layout.attributes["flow"] == flow
    assert layout.schema.dt == dt
    schema = layout.schema
    found = [schema.boundary_kind(a, s) for a in ("x", "y") for s in ("lower", "upper")]
    assert tuple(found) == sides
    if flow in ("tube", "cylinder"):
        assert any("loader" in note for note in layout.notes)


def test_dam_mask_has_the_area_of_the_barrier(tmp_path):
    """Published: `mask[:bottom:top, ..]` slices the time axis, 0 interior cells are masked."""
    write_case(tmp_path / "case0000", DAM, 2, (64, 64))
    mask = reader.read(open_layout(tmp_path), "mask", 0)
    analytic = 0.15 * 0.07 / (1.5 / 64 * 0.4 / 64)  # 71.7; the authors' integer corners give 69
    assert (~mask).sum() == pytest.approx(analytic, abs=2)
    rows, columns = np.nonzero(~mask)
    assert (rows.min(), rows.max()) == (0, 23)  # y <= 0.15
    assert (columns.min(), columns.max()) == (21, 23)  # 0.5 <= x <= 0.57
    legacy = reader.read(open_layout(tmp_path, "cfdbench_legacy"), "mask", 0)
    assert (~legacy[1:-1, 1:]).sum() == 0


def test_cylinder_mask_is_a_circle_about_the_origin(tmp_path):
    """Published: about (0.5, 0.5) or (-x_min, -y_min), so outside or at the upper edge."""
    write_case(tmp_path / "case0000", CYLINDER, 1, (96, 64))
    mask = reader.read(open_layout(tmp_path), "mask", 0)
    cell = 0.22 / 64 * 0.12 / 96
    assert (~mask).sum() * cell == pytest.approx(np.pi * 0.01**2, rel=0.05)
    rows, columns = np.nonzero(~mask)
    assert rows.mean() == pytest.approx(47.5)  # y = 0
    assert columns.mean() == pytest.approx(0.06 / 0.22 * 64 - 0.5, abs=0.3)  # x = 0
    legacy = reader.read(open_layout(tmp_path, "cfdbench_legacy"), "mask", 0)
    assert legacy[1:-1, 1:].all()


@pytest.mark.parametrize("params", [CAVITY, TUBE])
def test_cavity_and_tube_are_all_fluid(tmp_path, params):
    write_case(tmp_path / "case0000", params)
    assert reader.read(open_layout(tmp_path), "mask", 0).all()


def test_areas_converge_to_the_analytic_ones(tmp_path):
    errors = []
    for n in (32, 256):
        write_case(tmp_path / f"case{n:04d}", CYLINDER, 1, (n, n))
        solid = ~fluid(read_case(tmp_path / f"case{n:04d}"))
        errors.append(abs(solid.mean() * 0.22 * 0.12 / (np.pi * 1e-4) - 1))
    assert errors[1] < errors[0] / 4


def test_published_padding(tmp_path):
    u, v = write_case(tmp_path / "case0000", TUBE, 3, (64, 64))
    layout = open_layout(tmp_path, "cfdbench_legacy")
    velocity = reader.read(layout, "velocity", 0, slice(1, 3))
    assert velocity.shape == (2, 66, 65, 2)
    np.testing.assert_array_equal(velocity[:, 1:-1, 1:, 0], u[1:])
    np.testing.assert_array_equal(velocity[:, 1:-1, 1:, 1], v[1:])
    assert (velocity[:, 1:-1, 0, 0] == 2.0).all()
    assert (velocity[:, [0, -1]] == 0).all()
    assert (velocity[:, :, 0, 1] == 0).all()
    mask = reader.read(layout, "mask", 0)
    assert mask[1:-1, 1:].all()
    assert mask.sum() == 64 * 64
    x = layout.schema.axis("x")
    assert (x.size, x.spacing, x.lower) == (65, "cell", pytest.approx(-1 / 64))
    np.testing.assert_allclose(x.coordinates[1:], (np.arange(64) + 0.5) / 64)


def test_legacy_is_used_on_request_only(tmp_path):
    write_case(tmp_path / "case0000", TUBE)
    assert detect(tmp_path)[0] == "cfdbench"


def test_cavity_is_published_without_padding(tmp_path):
    write_case(tmp_path / "case0000", CAVITY)
    assert reader.read(open_layout(tmp_path, "cfdbench_legacy"), "mask", 0).shape == (NY, NX)


@pytest.mark.parametrize(("delta_t", "published", "right"), [(0.3, 2, 3), (0.7, 6, 7), (0.2, 2, 2)])
def test_delta_t_is_rounded_not_cut_off(delta_t, published, right):
    """Published: int(0.3 / 0.1) == 2 and int(0.7 / 0.1) == 6."""
    assert legacy_stride(delta_t, 0.1) == published
    assert frame_stride(delta_t, 0.1) == right


@pytest.mark.parametrize("delta_t", [0.25, 0.05, 0.0, -0.1])
def test_a_step_that_is_no_multiple_is_refused(delta_t):
    with pytest.raises(ConfigError, match="no multiple"):
        frame_stride(delta_t, 0.1)


def twelve(folder, params):
    for k in range(12):
        write_case(folder / "bc" / f"case{k:04d}", params, 2)
    return open_layout(folder)


def test_published_split_shuffles_the_cases_with_seed_0(tmp_path):
    layout = twelve(tmp_path / "dam", DAM)
    order = list(range(12))
    random.seed(0)
    random.shuffle(order)
    split = legacy_split(layout, "static")  # round: 10, 1, 1
    assert [len(p) for p in split.parts.values()] == [10, 1, 1]
    assert split.parts["valid"] == (order[10],)
    assert split.parts["test"] == (order[11],)
    assert [len(p) for p in legacy_split(layout, "auto").parts.values()] == [9, 1, 2]  # int
    assert legacy_split(layout, "auto").hash != split.hash


def test_fewer_than_ten_cases_give_no_silent_empty_part(tmp_path):
    for k in range(4):
        write_case(tmp_path / f"case{k:04d}", CYLINDER)
    with pytest.raises(SchemaError, match="empty"):
        legacy_split(open_layout(tmp_path), "static")


def test_steady_frames_are_not_cut_off(tmp_path):
    """Published: a trajectory ends silently once the mean change of the speed is below 0.001."""
    write_case(tmp_path / "case0000", CAVITY, 6)
    np.save(tmp_path / "case0000" / "u.npy", np.ones((6, NY, NX), np.float32))
    np.save(tmp_path / "case0000" / "v.npy", np.ones((6, NY, NX), np.float32))
    assert len(Windows(open_layout(tmp_path), window=Window())) == 5


def test_windows_read_their_frames_only_and_pickle(tmp_path):
    u, v = write_case(tmp_path / "case0000", DAM, 5)
    windows = pickle.loads(pickle.dumps(Windows(open_layout(tmp_path), window=Window(history=2))))
    sample = windows[1]
    np.testing.assert_array_equal(sample["targets"][0, 0], u[3])
    np.testing.assert_array_equal(sample["inputs"][:4], np.stack([u[1], v[1], u[2], v[2]]))
    assert sample["inputs"].shape == (5, NY, NX)  # and the mask
    stored = windows.layout.parts[0].arrays["velocity"][0]
    assert isinstance(reader.source(stored).base, np.memmap)


def test_several_flows_are_named(tmp_path):
    write_case(tmp_path / "cavity" / "bc" / "case0000", CAVITY)
    write_case(tmp_path / "tube" / "bc" / "case0000", TUBE)
    with pytest.raises(DataError, match=r"several flows \(cavity, tube\).*cavity, .*tube"):
        open_layout(tmp_path)
    (tmp_path / "mixed").mkdir()
    write_case(tmp_path / "mixed" / "bc" / "case0000", CAVITY)
    write_case(tmp_path / "mixed" / "bc" / "case0001", TUBE)
    with pytest.raises(DataError, match="several flows"):
        open_layout(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("case.json", b"{", "not JSON"),
        ("case.json", b"[1, 2]", "expected an object"),
        ("case.json", b'{"vel_top": 1}', "none of the flows"),
        ("case.json", json.dumps({**CAVITY, "density": "1"}).encode(), "must be a number"),
        ("case.json", json.dumps({**CAVITY, "width": -1}).encode(), "domain is empty"),
        ("case.json", json.dumps(CAVITY).replace("10.0", "1" + 400 * "0").encode(), "a number"),
        ("case.json", json.dumps({**CAVITY, "width": float("nan")}).encode(), "must be a number"),
        ("u.npy", b"\x93NUMPY", "damaged"),
        ("u.npy", None, "missing"),
    ],
)
def test_damaged_cases(tmp_path, name, content, message):
    write_case(tmp_path / "case0000", CAVITY)
    write_case(tmp_path / "case0001", CAVITY)
    target = tmp_path / "case0001" / name
    target.unlink() if content is None else target.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path)


def test_damaged_arrays(tmp_path):
    write_case(tmp_path / "case0000", CAVITY)
    for wrong, message in [
        (np.zeros((3, NY, NX + 1), np.float32), "one shape"),
        (np.zeros((NY, NX), np.float32), r"\(T, Y, X\)"),
        (np.zeros((0, NY, NX), np.float32), r"\(T, Y, X\)"),
        (np.zeros((3, NY, NX), complex), "real"),
    ]:
        np.save(tmp_path / "case0000" / "v.npy", wrong)
        with pytest.raises(DataError, match=message):
            open_layout(tmp_path)


@genuine
def test_example_folders():
    layout = open_layout(DATA / "dam")
    assert layout.n_samples == 10
    last = DATA / "dam" / "geo" / "case0002"
    velocity = reader.read(layout, "velocity", 9, slice(3, 5))
    np.testing.assert_array_equal(velocity[..., 0], np.load(last / "u.npy")[3:5])
    np.testing.assert_array_equal(velocity[..., 1], np.load(last / "v.npy")[3:5])
    assert layout.params(9)[3:5].tolist() == [0.13, 0.03]
    assert reader.read(open_layout(DATA / "dam", "cfdbench_legacy"), "mask", 0).shape == (66, 65)
    with pytest.raises(DataError, match="several flows"):
        open_layout(DATA)
