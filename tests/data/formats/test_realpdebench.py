"""RealPDEBench, on files written by plain h5py calls; no genuine file was obtainable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.realpdebench import RealPDEBench

T, H, W = 4, 3, 6


def field(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def flow(path, names="uv", frames=T, **extra):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {k: field(frames, H, W) + i for i, k in enumerate(names)}
    with h5py.File(path, "w") as f:
        for name, values in made.items():
            f[f"measured_data/{name}"] = values
        for name, values in extra.items():
            f[name] = values
    return made


def test_a_simulated_flow(tmp_path, recognised_by):
    made = flow(tmp_path / "1800.h5", "uvp", t=np.arange(T) * 0.0025)
    layout = RealPDEBench().layout(tmp_path / "1800.h5")
    assert [layout.format] == recognised_by(tmp_path / "1800.h5") == ["realpdebench"]
    assert layout.schema["velocity"].domain.names == ("y", "x")
    velocity = reader.read(layout, "velocity", 0)
    assert velocity.shape == (T, H, W, 2)
    np.testing.assert_array_equal(velocity[..., 0], made["u"])
    np.testing.assert_array_equal(velocity[..., 1], made["v"])
    np.testing.assert_array_equal(reader.read(layout, "pressure", 0), made["p"])
    np.testing.assert_allclose(layout.times(0), np.arange(T) * 0.0025)
    assert layout.provenance == {"Re": "file name"}
    assert layout.params(0).tolist() == [1800]


def test_a_measured_flow_has_neither_pressure_nor_times(tmp_path):
    flow(tmp_path / "1800.h5")
    layout = RealPDEBench().layout(tmp_path / "1800.h5")
    assert [v.name for v in layout.schema.states] == ["velocity"]
    assert np.isnan(layout.times(0)).all()
    assert any("not stored" in note for note in layout.notes)


NAMES = {
    "real/1800.h5": {"Re": 1800},
    "real/1781_0.5.h5": {"Re": 1781, "parameter_2": 0.5},
    "controlled_cylinder/real/1781_0.5.h5": {"Re": 1781, "control_frequency": 0.5},
    "foil/numerical/2968_15.h5": {"Re": 2968, "angle_of_attack": 15},
    "fsi/3272_18.2_0.8_1.h5": {
        "Re": 3272, "mass_ratio": 18.2, "parameter_3": 0.8, "parameter_4": 1,
    },
    "real/wake.h5": {},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_parameters_of_the_name(name, tmp_path):
    flow(tmp_path / name)
    layout = RealPDEBench().layout(tmp_path / name)
    found = dict(zip([v.name for v in layout.schema.params], layout.params(0), strict=True))
    assert found == NAMES[name]
    assert any("does not say" in n for n in layout.notes) == any("parameter" in k for k in found)


def test_measured_combustion(tmp_path, recognised_by):
    made = field(T, H, W)
    with h5py.File(tmp_path / "40NH3_1.1.h5", "w") as f:
        f["trajectory"] = made
    layout = RealPDEBench().layout(tmp_path / "40NH3_1.1.h5")
    np.testing.assert_array_equal(reader.read(layout, "intensity", 0, slice(1, 3)), made[1:3])
    assert recognised_by(tmp_path / "40NH3_1.1.h5") == ["realpdebench"]
    assert layout.params(0).tolist() == [40, 1.1]
    assert layout.schema["NH3"].unit == "%"


@pytest.mark.parametrize("where", ["data set", "attribute"])
def test_simulated_combustion_has_named_channels(where, tmp_path, recognised_by):
    names = [f"channel {k}" for k in range(15)]
    made = field(T, H, W, 15)
    with h5py.File(tmp_path / "40NH3_1.1.h5", "w") as f:
        f["measured_data"] = made
        if where == "data set":
            f["channel_names"] = np.array(names, dtype=h5py.string_dtype())
        else:
            f["measured_data"].attrs["channel_names"] = names
    layout = RealPDEBench().layout(tmp_path / "40NH3_1.1.h5")
    assert recognised_by(tmp_path / "40NH3_1.1.h5") == ["realpdebench"]
    assert [v.name for v in layout.schema.states] == names
    for k in (0, 7, 14):
        np.testing.assert_array_equal(reader.read(layout, names[k], 0), made[..., k])


def test_a_folder_is_a_data_set_of_trajectories_in_the_order_of_their_numbers(tmp_path):
    for re, frames in ((9000, 3), (1800, 4), (12000, 2)):
        flow(tmp_path / f"{re}.h5", frames=frames)
    layout = RealPDEBench().layout(tmp_path)
    assert [layout.params(i)[0] for i in range(3)] == [1800, 9000, 12000]
    assert layout.lengths.tolist() == [4, 3, 2]


def test_real_and_simulated_trajectories_are_not_mixed(tmp_path):
    flow(tmp_path / "1.h5")
    flow(tmp_path / "2.h5", "uvp")
    with pytest.raises(DataError, match=r"2\.h5.*differ"):
        RealPDEBench().layout(tmp_path)


def test_damage_is_named(tmp_path):
    path = tmp_path / "1800.h5"
    flow(path, "u", measured=1)
    with pytest.raises(DataError, match="expected measured_data/u and v"):
        RealPDEBench().layout(path)
    flow(path, t=np.arange(T + 1.0))
    with pytest.raises(DataError, match="/t must have the shape"):
        RealPDEBench().layout(path)
    with h5py.File(path, "a") as f:
        del f["t"], f["measured_data/v"]
        f["measured_data/v"] = np.zeros((T, W, H))
    with pytest.raises(DataError, match="one shape"):
        RealPDEBench().layout(path)
    with h5py.File(path, "w") as f:
        f["measured_data"], f["channel_names"] = np.zeros((T, H, W, 3)), [b"a", b"a", b"b"]
    with pytest.raises(DataError, match="different names"):
        RealPDEBench().layout(path)
