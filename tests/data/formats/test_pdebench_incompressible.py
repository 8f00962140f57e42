"""PDEBench's family C, on files written by plain h5py calls with sizes that differ."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.pdebench import PDEBench
from sciops.data.windows import Window, Windows

N, T, X, Y = 2, 4, 6, 5
CONFIG = """
sim_name: ns_sim_2d
domain_size: [1, 2]
grid_size: [6, 5]
particle_extrapolation: BOUNDARY
velocity_extrapolation: ZERO
force_extrapolation: ZERO
NU: 0.01
scale: 0.4
n_steps: 100000
"""


def arrays():
    rng = np.random.default_rng(0)
    shapes = {"velocity": (N, T, X, Y, 2), "particles": (N, T, X, Y, 1), "force": (N, X, Y, 2)}
    made = {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}
    made["t"] = np.array([[0.0, 0.1, 0.2, 0.3], [0.0, 0.2, 0.4, 0.6]], dtype=np.float32)
    return made


def write(path, made, config=CONFIG, latest=T - 1):
    with h5py.File(path, "w") as f:
        for name, values in made.items():
            chunks = (1, 1, *values.shape[2:]) if values.ndim > 2 else None
            if chunks is None:
                f[name] = values
            else:
                f.create_dataset(name, data=values, compression="lzf", chunks=chunks, shuffle=True)
        f.attrs["config"], f.attrs["latestIndex"] = config, latest
    return path


def test_values_times_and_parameters(tmp_path, recognised_by):
    made = arrays()
    path = write(tmp_path / "ns_incom_inhom_2d_512-0.h5", made)
    layout = PDEBench().layout(path)
    assert [layout.format] == recognised_by(path) == ["pdebench"]
    np.testing.assert_array_equal(reader.read(layout, "velocity", 1), made["velocity"][1])
    np.testing.assert_array_equal(reader.read(layout, "particles", 1), made["particles"][1, ..., 0])
    np.testing.assert_array_equal(reader.read(layout, "forcing", 1), made["force"][1])
    np.testing.assert_allclose(layout.times(1), [0.0, 0.2, 0.4, 0.6], rtol=1e-6)
    assert layout.schema.dt is None  # the two samples have different steps
    assert dict(zip(("NU", "scale"), layout.params(0), strict=True)) == {"NU": 0.01, "scale": 0.4}
    assert set(layout.provenance.values()) == {"YAML in the attribute config"}
    assert layout.schema["forcing"].role == "forcing"
    assert not layout.schema["forcing"].time_varying
    assert (layout.schema.axis("y").lower, layout.schema.axis("y").upper) == (0.0, 2.0)
    assert any("domain_size" in note for note in layout.notes)


def test_boundary_is_that_of_the_extrapolations(tmp_path):
    schema = PDEBench().layout(write(tmp_path / "c.h5", arrays())).schema
    assert schema.boundary_kind("x", "lower", "velocity") == "dirichlet"
    assert schema.boundary_kind("y", "upper", "particles") == "neumann"
    assert schema.boundary_kind("x", "lower", "forcing") == "unknown"


def test_the_force_is_an_input_of_the_task(tmp_path):
    made = arrays()
    windows = Windows(PDEBench().layout(write(tmp_path / "c.h5", made)), window=Window())
    sample = windows[0]
    assert sample["inputs"].shape == (2 + 1 + 2, X, Y)
    np.testing.assert_array_equal(sample["inputs"][3:], np.moveaxis(made["force"][0], -1, 0))


def test_frames_that_were_never_written_are_left_out(tmp_path):
    layout = PDEBench().layout(write(tmp_path / "c.h5", arrays(), latest=2))
    assert layout.lengths.tolist() == [3, 3]
    assert any("only 3 of 4 frames" in note for note in layout.notes)


def test_without_a_config_nothing_is_invented(tmp_path):
    layout = PDEBench().layout(write(tmp_path / "c.h5", arrays(), config="{}"))
    assert not layout.schema.params and not layout.schema.boundary
    assert layout.schema.axis("x").upper == X
    assert any("not stored" in note for note in layout.notes)


DAMAGED = {
    "force of another grid": ({"force": np.zeros((N, Y, X, 2))}, {}, "/force"),
    "particles with two numbers": ({"particles": np.zeros((N, T, X, Y, 2))}, {}, "/particles"),
    "times that do not fit": ({"t": np.zeros((N, T + 1))}, {}, "shape"),
    "times that are not finite": ({"t": np.full((N, T), np.nan)}, {}, "NaN"),
    "no time axis": ({"velocity": np.zeros((N, X, Y, 2))}, {}, "velocity"),
    "text": ({"velocity": np.array([b"x"])}, {}, "velocity"),
    "nothing was written": ({}, {"latest": -1}, "no frame"),
    "YAML that runs": ({}, {"config": "a: !!python/name:os.system"}, "not valid YAML"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case, tmp_path):
    changed, settings, match = DAMAGED[case]
    path = write(tmp_path / "c.h5", arrays() | changed, **settings)
    with pytest.raises(DataError, match=match):
        PDEBench().layout(path)
