"""Differences between data sets: found, placed, and none where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from data import faulty

from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data import source as source_module
from sciops.data.diff import diff
from sciops.data.layout import Layout, Part, Stored
from sciops.data.source import FileSource, Selected, open_source
from sciops.data.split import Split, split_samples


@pytest.fixture
def sound(tmp_path):
    (tmp_path / "a").mkdir()
    return open_source(faulty.clean(tmp_path / "a"), "sciops")


def other(tmp_path, **settings):
    (tmp_path / "b").mkdir(exist_ok=True)
    return open_source(faulty.clean(tmp_path / "b", **settings), "sciops")


def kinds(found):
    return [(d.kind, d.where) for d in found.differences]


def test_a_copy_is_the_same(sound, tmp_path):
    found = diff(sound, other(tmp_path))
    assert found.same and found.notes == ()
    assert diff(sound, sound).same


def test_another_format_is_the_same(sound, tmp_path):
    """The Well's layout knows no location, unit or dt of its own; the numbers are equal."""
    path = faulty.clean(tmp_path, own=False)
    found = diff(sound, open_source(path, "the_well"))
    assert {d.kind for d in found.differences} == {"schema"}


@pytest.mark.parametrize("block", [1, 1 << 25])
def test_a_field_that_differs(sound, tmp_path, block, monkeypatch):
    def change(arrays):
        arrays["t1_fields/velocity"][3, 6, 5, 4, 1] += 0.5
        arrays["t1_fields/velocity"][1, 2, 3, 4, 0] += 0.25

    monkeypatch.setattr(source_module, "BLOCK", block)
    found = diff(sound, b := other(tmp_path, change=change))
    assert kinds(found) == [("field", "velocity")]
    numbers, message = found.differences[0].numbers, found.differences[0].message
    true, changed = sound.read("velocity", 3)[6, 5, 4, 1], b.read("velocity", 3)[6, 5, 4, 1]
    assert numbers["max_abs"] == pytest.approx(float(changed) - float(true))
    assert numbers["count"] == 2 and numbers["samples"] == 2
    assert "sample 3, frame 6, x 5, y 4, component 1" in message
    assert diff(sound, b, atol=0.51).same
    assert not diff(sound, b, atol=0.3).same
    assert json.loads(json.dumps(found.to_json()))["same"] is False


def test_relative_tolerance(sound, tmp_path):
    def change(arrays):
        arrays["t0_fields/density"] *= np.float32(1.001)

    b = other(tmp_path, change=change)
    assert diff(sound, b, rtol=1.1e-3).same
    found = diff(sound, b, rtol=0.9e-3)
    assert kinds(found) == [("field", "density")]
    assert found.differences[0].numbers["max_rel"] == pytest.approx(1e-3, rel=1e-2)


def test_nan_equals_nan_and_nothing_else(sound, tmp_path):
    holes = faulty.values("t0_fields/density", (0, 1, 2, 3), np.nan)
    a, b = holes(tmp_path), other(tmp_path)
    a = open_source(a, "sciops")
    assert diff(a, a).same
    found = diff(a, b, atol=1e6)
    assert kinds(found) == [("field", "density")]
    assert found.differences[0].numbers["max_abs"] == np.inf


def test_parameters_times_and_coordinates(sound, tmp_path):
    def change(arrays):
        arrays["scalars/nu"] = arrays["scalars/nu"] + np.array([0, 0, 0.1, 0, 0])
        arrays["dimensions/time"] = arrays["dimensions/time"] + 0.5

    b = other(tmp_path, change=change)
    found = diff(sound, b)
    assert kinds(found) == [("time", "sample 0"), ("parameter", "nu")]
    assert "sample 2: 0.3 and 0.4" in found.differences[1].message
    (tmp_path / "c").mkdir()
    moved = faulty.placed("x", faulty.entry(5, 0.35))(tmp_path / "c")
    found = diff(sound, open_source(moved, "sciops"))
    assert ("schema", "density, axis x") in kinds(found)
    assert diff(sound, open_source(moved, "sciops"), atol=0.1).same


def test_schemas(sound, tmp_path):
    def describe(tree):
        variables = {v["name"]: v for v in tree["schema"]["variables"]}
        variables["density"]["unit"] = "kg / m^3"
        variables["energy"]["name"] = "heat"
        tree["parts"][0]["arrays"]["heat"] = tree["parts"][0]["arrays"].pop("energy")
        tree["schema"]["boundary"] = [faulty.condition("x", "lower", "periodic")]

    found = diff(sound, other(tmp_path, describe=describe))
    assert set(kinds(found)) == {
        ("schema", "density"),
        ("schema", "energy"),
        ("schema", "heat"),
        ("schema", "boundary"),
    }


def test_types_are_told_and_not_counted(sound, tmp_path):
    def edit(f):
        faulty.replaced(f, "t0_fields/density", f["t0_fields/density"][...].astype(np.float64))

    found = diff(sound, other(tmp_path, edit=edit))
    assert found.same
    assert found.notes == ("density is float32 and float64",)


def test_samples_and_lengths(sound):
    found = diff(sound, Selected(sound, [0, 1, 2]))
    assert kinds(found) == [("samples", "samples")]
    found = diff(Selected(sound, [0, 1]), Selected(sound, [0, 2]))
    assert {"density", "velocity", "nu"} <= {d.where for d in found.differences}


def test_splits(sound):
    first = split_samples(5, {"train": 0.8, "test": 0.2}, 0)
    second = Split({"train": (0, 1), "test": (2, 3, 4)}, "by hand")
    assert diff(sound, sound, splits=(first, first)).same
    assert kinds(diff(sound, sound, splits=(first, second))) == [("split", "splits.json")]


def test_the_order_of_the_axes_does_not_matter():
    x, y = Axis.uniform("x", 4), Axis.uniform("y", 3)
    u = np.arange(24.0).reshape(2, 4, 3)

    def source(axes, names, array):
        schema = Schema((Variable("u", Grid(axes), "input"),))
        stored = Stored("", "memory", "u", ("sample", *names), array.shape, "<f8", array=array)
        part = Part("p", 2, np.ones(2, dtype=np.int64), {"u": (stored,)})
        return FileSource(Layout(schema, (part,), "arrays", "given"))

    a = source((x, y), ("x", "y"), u)
    b = source((y, x), ("y", "x"), np.ascontiguousarray(u.transpose(0, 2, 1)))
    assert diff(a, b).same
    wrong = u.transpose(0, 2, 1).copy()
    wrong[1, 2, 3] += 1
    found = diff(a, source((y, x), ("y", "x"), wrong))
    assert "sample 1, x 3, y 2" in found.differences[0].message


def test_a_damaged_file_is_an_error(sound, tmp_path):
    from sciops.core.errors import DataError

    path = faulty.damaged_chunk(tmp_path)
    with pytest.raises(DataError, match="cannot read"):
        diff(sound, open_source(path, "sciops"))
