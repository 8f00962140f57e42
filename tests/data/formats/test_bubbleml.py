"""BubbleML, on files written after its documentation; no genuine file was obtainable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.bubbleml import BubbleML

T, Y, X = 4, 3, 6
FIELDS = ("temperature", "velx", "vely", "dfun", "pressure", "massflux", "normx", "normy")
RECORD = np.dtype([("name", "S80"), ("value", "<f8")])


def write(path, runtime=True, names=FIELDS, **changed):
    rng = np.random.default_rng(3)
    made = {k: rng.normal(size=(T, Y, X)) for k in names}
    y, x = np.meshgrid(0.5 + np.arange(Y), -3 + 0.25 * np.arange(X), indexing="ij")
    made |= {"x": np.stack([x] * T), "y": np.stack([y] * T)} | changed
    with h5py.File(path, "w") as f:
        for name, values in made.items():
            f.create_dataset(name, data=values)
        if runtime:
            rows = [(b"ins_invreynolds" + b" " * 60, 0.0042), (b"cfl", 0.1), (b"ht_prandtl", 8.4)]
            f["real-runtime-params"] = np.array(rows, dtype=RECORD)
    return made


def test_values_axes_and_parameters(tmp_path, recognised_by):
    made = write(tmp_path / "Twall-100.hdf5")
    layout = BubbleML().layout(tmp_path / "Twall-100.hdf5")
    assert [layout.format] == recognised_by(tmp_path / "Twall-100.hdf5") == ["bubbleml"]
    assert layout.schema["temperature"].domain.names == ("y", "x")
    for name in ("temperature", "pressure", "dfun", "massflux"):
        np.testing.assert_array_equal(reader.read(layout, name, 0), made[name])
    velocity = reader.read(layout, "velocity", 0)
    np.testing.assert_array_equal(velocity, np.stack([made["velx"], made["vely"]], -1))
    np.testing.assert_array_equal(reader.read(layout, "normal", 0)[..., 1], made["normy"])
    axis = layout.schema.axis("x")
    np.testing.assert_allclose(axis.coordinates, -3 + 0.25 * np.arange(X))
    assert (axis.lower, axis.spacing) == (-3.125, "cell")
    found = dict(zip([v.name for v in layout.schema.params], layout.params(0), strict=True))
    assert found == {"ins_invreynolds": 0.0042, "ht_prandtl": 8.4, "wall_temperature": 100}
    assert layout.provenance["wall_temperature"] == "file name"
    assert layout.provenance["ht_prandtl"] == "data set real-runtime-params"
    assert layout.schema["wall_temperature"].unit == "degC"
    assert layout.schema.dt is None and np.isnan(layout.times(0)).all()


def test_a_study_is_a_folder(tmp_path):
    for wall in (100, 90, 110):
        write(tmp_path / f"Twall-{wall}.hdf5", runtime=wall != 90)
    layout = BubbleML().layout(tmp_path)
    assert [v.name for v in layout.schema.params] == ["wall_temperature"]
    assert [layout.params(i)[0] for i in range(3)] == [90, 100, 110]
    assert any("only some of the files" in note for note in layout.notes)


def test_coordinates_that_were_swapped_are_refused(tmp_path):
    path = tmp_path / "a.hdf5"
    made = write(path)
    write(path, x=made["y"], y=made["x"])
    with pytest.raises(DataError, match="vary along its own axis"):
        BubbleML().layout(path)


def test_damage_is_named(tmp_path):
    path = tmp_path / "a.hdf5"
    write(path, vely=np.zeros((T, X, Y)))
    with pytest.raises(DataError, match="one shape"):
        BubbleML().layout(path)
    write(path, x=np.zeros((T, Y, X)))
    with pytest.raises(DataError, match="increase strictly"):
        BubbleML().layout(path)
    write(path, names=FIELDS[1:])
    with pytest.raises(DataError, match="temperature"):
        BubbleML().layout(path)
    write(path, temperature=np.zeros((T, 2, Y, X)))
    with pytest.raises(DataError, match=r"\(T, Y, X\)"):
        BubbleML().layout(path)
