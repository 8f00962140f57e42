"""PBDL, on files written after its specification; no genuine file was obtainable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.pbdl import PBDL

T, X, Y = 4, 3, 6
DESCRIBED = {
    "PDE": "Navier-Stokes: Incompressible Cylinder Flow",
    "Dimension": 2,
    "Fields Scheme": "VVp",
    "Fields": ["Velocity X", "Velocity Y", "Pressure"],
    "Domain Extent": [4.0, 2.0],
    "Dt": 0.05,
    "Boundary Conditions Order": ["x negative", "x positive", "y negative", "y positive"],
    "Boundary Conditions": ["inflow", "open", "wall", "wall"],
    "Constants": ["Reynolds Number"],
}


def write(path, n=11, shape=(T, 3, X, Y), **changed):
    made = [np.random.default_rng(i).normal(size=shape) for i in range(n)]
    with h5py.File(path, "w") as f:
        for i, values in enumerate(made):
            f[f"sims/sim{i}"] = values
            f[f"sims/sim{i}"].attrs["Reynolds Number"] = 100.0 + i
        for name, value in (DESCRIBED | changed).items():
            if value is not None:
                f["sims"].attrs[name] = value
        f["norm_fields_sca_mean"] = np.zeros(3)
    return made


def test_values_constants_and_times(tmp_path, recognised_by):
    made = write(tmp_path / "a.hdf5")
    layout = PBDL().layout(tmp_path / "a.hdf5")
    assert [layout.format] == recognised_by(tmp_path / "a.hdf5") == ["pbdl"]
    assert layout.n_samples == 11
    for i in (2, 10):
        velocity = reader.read(layout, "Velocity", i)
        np.testing.assert_array_equal(velocity, np.moveaxis(made[i][:, :2], 1, -1))
        np.testing.assert_array_equal(reader.read(layout, "Pressure", i), made[i][:, 2])
        assert layout.params(i).tolist() == [100 + i]
    np.testing.assert_allclose(layout.times(0), [0, 0.05, 0.1, 0.15])
    assert layout.schema.dt == pytest.approx(0.05)
    assert layout.provenance == {"Reynolds Number": "attribute of the simulation"}
    schema = layout.schema
    assert [schema.boundary_kind(a, s) for a in "xy" for s in ("lower", "upper")] == [
        "inflow", "open", "wall", "wall",
    ]  # fmt: skip
    assert (schema.axis("x").upper, schema.axis("y").upper) == (4, 2)


def test_what_is_not_said_stays_unknown(tmp_path):
    left_out = dict.fromkeys(("Domain Extent", "Boundary Conditions", "Boundary Conditions Order"))
    write(tmp_path / "a.hdf5", 1, Dt=0.0, **left_out)
    layout = PBDL().layout(tmp_path / "a.hdf5")
    assert np.isnan(layout.times(0)).all() and layout.schema.dt is None
    assert layout.schema.boundary_kind("x", "lower") == "unknown"
    assert layout.schema.axis("x").periodic is None
    assert (layout.schema.axis("x").upper, layout.schema.axis("x").unit) == (X, None)
    assert any("Dt" in note for note in layout.notes)


def test_periodic_boxes_and_scalar_extents(tmp_path):
    write(tmp_path / "a.hdf5", 1, **{"Domain Extent": 2.0, "Boundary Conditions": ["periodic"] * 4})
    axis = PBDL().layout(tmp_path / "a.hdf5").schema.axis("y")
    assert (axis.periodic, axis.upper, axis.size) == (True, 2.0, Y)


def test_sides_whose_names_ran_together_are_noted(tmp_path):
    order = ["x negative", "x positive", "y positivey negative"]
    write(tmp_path / "a.hdf5", 1, **{"Boundary Conditions Order": order})
    layout = PBDL().layout(tmp_path / "a.hdf5")
    assert not layout.schema.boundary
    assert any("3 sides" in note for note in layout.notes)


def test_the_scheme_of_pbdls_own_tests(tmp_path):
    fields = ["Field1", "Field2a", "Field2b", "Field3"]
    (made,) = write(
        tmp_path / "a.hdf5", 1, (T, 4, X, Y), **{"Fields Scheme": "aBBc", "Fields": fields}
    )
    layout = PBDL().layout(tmp_path / "a.hdf5")
    assert {v.name: v.components for v in layout.schema.states} == {
        "Field1": (), "Field2": (2,), "Field3": (),
    }  # fmt: skip
    np.testing.assert_array_equal(reader.read(layout, "Field3", 0), made[:, 3])


DAMAGED = {
    "scheme": ({"Fields Scheme": "VV"}, "3 fields are stored"),
    "names": ({"Fields": ["a"]}, "3 fields are stored"),
    "one name twice": ({"Fields Scheme": "abc", "Fields": ["u", "u", "v"]}, "two quantities"),
    "constant": ({"Constants": ["Mach"]}, "constant 'Mach'"),
    "rank": ({"shape": (T, 3)}, r"\(frames, fields"),
    "no Dt": ({"Dt": None}, "expected the group sims"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case, tmp_path):
    changed, match = DAMAGED[case]
    write(tmp_path / "a.hdf5", 2, **changed)
    with pytest.raises(DataError, match=match):
        PBDL().layout(tmp_path / "a.hdf5")


def test_frames_as_single_arrays_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as f:
        for t in range(T):
            f[f"sims/sim0/{t}"] = np.zeros((3, X, Y))
        f["sims"].attrs.update({k: v for k, v in DESCRIBED.items()})
    with pytest.raises(DataError, match="stack the frames"):
        PBDL().layout(tmp_path / "a.hdf5")
