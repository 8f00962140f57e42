"""PDEBench, on files written by plain h5py calls with sizes that differ along every axis."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows

T, X, Y, Z = 4, 6, 5, 3


def centres(n, lower=0.0, upper=1.0):
    return (lower + (np.arange(n) + 0.5) * (upper - lower) / n).astype(np.float32)


def field(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def test_scalar_trims_the_last_time(tmp_path):
    u = field(2, T, X)
    with h5py.File(tmp_path / "a.hdf5", "w") as f:
        f["tensor"], f["x-coordinate"] = u, centres(X)
        f["t-coordinate"] = np.arange(T + 1) * 0.25
        f.attrs["beta"] = 0.4
    layout = open_layout(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(reader.read(layout, "u", 1), u[1])
    np.testing.assert_array_equal(layout.times(0), [0.0, 0.25, 0.5, 0.75])
    assert any("trimmed" in note for note in layout.notes)
    assert layout.schema.dt == 0.25
    axis = layout.schema.axis("x")
    assert (axis.lower, axis.upper, axis.spacing) == (
        pytest.approx(0, abs=1e-6),
        pytest.approx(1),
        "cell",
    )
    assert layout.schema.boundary_kind("x", "lower") == "unknown"
    assert layout.params(0) == [0.4]


@pytest.mark.parametrize("shape", [(X,), (X, Y), (X, Y, Z)])
def test_cfd_joins_the_velocity(tmp_path, shape):
    names = "xyz"[: len(shape)]
    arrays = {
        k: field(2, T, *shape) + i
        for i, k in enumerate(["density", "pressure", *(f"V{a}" for a in names)])
    }
    path = tmp_path / "CFD_Rand_periodic_Train.hdf5"
    with h5py.File(path, "w") as f:
        for k, a in arrays.items():
            f[k] = a
        for a, n in zip(names, shape, strict=True):
            f[f"{a}-coordinate"] = centres(n)
        f["t-coordinate"] = np.arange(T + 1.0)
        f.attrs["eta"], f.attrs["zeta"], f.attrs["M"] = 1e-8, 1e-8, 0.1
    layout = open_layout(path)
    velocity = reader.read(layout, "velocity", 1, slice(1, 3))
    assert velocity.shape == (2, *shape, len(shape))
    for k, a in enumerate(names):
        np.testing.assert_array_equal(velocity[..., k], arrays[f"V{a}"][1, 1:3])
    assert layout.schema.boundary_kind("x", "upper") == "periodic"
    sample = Windows(layout, window=Window(history=2))[0]
    assert sample["inputs"].shape == (2 * (2 + len(shape)), *shape)
    np.testing.assert_array_equal(sample["inputs"][0], arrays["density"][0, 0])
    np.testing.assert_array_equal(sample["inputs"][1], arrays["density"][0, 1])


def test_darcy_drops_the_axis_of_length_one(tmp_path):
    nu, u = field(3, X, Y), field(3, 1, X, Y)
    with h5py.File(tmp_path / "d.hdf5", "w") as f:
        f["nu"], f["tensor"] = nu, u
        f["x-coordinate"], f["y-coordinate"] = centres(X), centres(Y)
        f.attrs["beta"] = 1.0
    layout = open_layout(tmp_path / "d.hdf5")
    np.testing.assert_array_equal(reader.read(layout, "coefficient", 2), nu[2])
    np.testing.assert_array_equal(reader.read(layout, "solution", 2), u[2, 0])


def write_seeds(path, data, sizes, config="sim: {k: 0.005, name: x}"):
    with h5py.File(path, "w") as f:
        for seed in range(2):
            g = f.create_group(f"{seed:04d}")
            g.create_dataset("data", data=data + seed, compression="lzf", chunks=True)
            g.attrs["config"] = config
            for name, n in sizes.items():
                g[f"grid/{name}"] = np.arange(n) * 0.1 if name == "t" else centres(n, -1, 1)


def test_diff_react_is_stored_y_first(tmp_path):
    data = field(T, Y, X, 2)
    write_seeds(tmp_path / "r.h5", data, {"t": T, "x": X, "y": Y})
    layout = open_layout(tmp_path / "r.h5")
    assert layout.schema["activator"].domain.names == ("y", "x")
    np.testing.assert_array_equal(reader.read(layout, "inhibitor", 1), data[..., 1] + 1)
    assert layout.params(0) == [0.005]
    assert layout.provenance["k"].startswith("YAML")


def test_shallow_water_is_stored_x_first(tmp_path):
    data = field(T, X, Y, 1)
    write_seeds(tmp_path / "w.h5", data, {"t": T, "x": X, "y": Y})
    layout = open_layout(tmp_path / "w.h5")
    assert layout.schema["u"].domain.names == ("x", "y")
    np.testing.assert_array_equal(reader.read(layout, "u", 0), data[..., 0])


def test_diff_sorp_in_one_dimension(tmp_path):
    data = field(T, X, 1)
    write_seeds(tmp_path / "s.h5", data, {"t": T, "x": X})
    np.testing.assert_array_equal(reader.read(open_layout(tmp_path / "s.h5"), "u", 0), data[..., 0])


def test_axes_that_contradict_the_coordinates_are_refused(tmp_path):
    write_seeds(tmp_path / "r.h5", field(T, X, Y, 2), {"t": T, "x": X, "y": Y})
    with pytest.raises(DataError, match="its coordinates"):
        open_layout(tmp_path / "r.h5")


def test_hostile_yaml_runs_nothing(tmp_path):
    marker = tmp_path / "ran"
    config = f"sim: !!python/object/apply:os.system ['touch {marker}']"
    write_seeds(tmp_path / "h.h5", field(T, X, 1), {"t": T, "x": X}, config)
    with pytest.raises(DataError, match="not valid YAML"):
        open_layout(tmp_path / "h.h5")
    assert not marker.exists()
