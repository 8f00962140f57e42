"""Repairs: what was asked for is done and told, everything else stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from data.in_memory import everything, flow, memory

from sciops.core.errors import NotFound, SchemaError
from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable
from sciops.data.convert import convert
from sciops.data.repair import Repairs, Times, condition, repair
from sciops.data.source import open_source


def test_nothing_to_do_is_nothing_done():
    source = flow()
    assert repair(source, Repairs()) is source
    assert repair(source, Repairs(not_finite="error", drop_duplicates=True)) is source
    assert source.notes == ("a note",)


def test_names_units_roles(tmp_path):
    source = flow()
    made = repair(
        source,
        Repairs(
            units={"velocity": "m/s", "nu": "1", "y": "km", "time": "h"},
            rename={"velocity": "u", "x": "r", "nu": "viscosity"},
            roles={"solid": "forcing"},
        ),
    )
    back = open_source(convert(made, tmp_path / "a.hdf5").path)
    schema = back.schema
    assert [v.name for v in schema.variables] == [
        "density", "u", "strain", "count", "solid", "level", "viscosity",
    ]  # fmt: skip
    assert (schema["u"].unit, schema["viscosity"].unit, schema.time_unit) == ("m/s", "1", "h")
    assert [a.name for a in schema["u"].domain.axes] == ["r", "y"]
    assert schema.axis("y").unit == "km" and schema.axis("r").unit == "m"
    assert schema["solid"].role == "forcing" and back.provenance["viscosity"] == "argument"
    assert schema.boundary[0] == Boundary("r", "lower", "inflow", ("u",), 1.5)
    assert "repaired: unit of nu: m^2/s became 1" in back.notes
    old = everything(source)
    for (name, s), q in everything(back).items():
        np.testing.assert_array_equal(q, old[{"u": "velocity"}.get(name, name), s])
    undone = repair(
        back,
        Repairs(
            units={"viscosity": "m^2/s"}, rename={"u": "velocity", "r": "x", "viscosity": "nu"}
        ),
    )
    assert undone.schema["nu"] == source.schema["nu"]
    assert undone.schema.boundary == source.schema.boundary


def kinds(schema, axis, variable=None):
    return [schema.boundary_kind(axis, side, variable) for side in ("lower", "upper")]


def boundary(source, *texts):
    return repair(source, Repairs(boundary=tuple(b for t in texts for b in condition(t)))).schema


def test_boundary_of_one_side_and_variable():
    source = flow()
    schema = boundary(source, "x.upper=wall")
    assert kinds(schema, "x") == ["unknown", "wall"] and kinds(schema, "x", "velocity")[0] == (
        "inflow"
    )
    schema = boundary(source, "x.lower=wall")  # of all variables: what one had is gone
    assert kinds(schema, "x", "velocity") == ["wall", "outflow"]
    schema = boundary(source, "velocity@x.lower=dirichlet:2", "density@x.lower=neumann:0")
    assert kinds(schema, "x", "velocity")[0] == "dirichlet" and len(schema.boundary) == 5
    assert [b.value for b in schema.boundary if b.axis == "x"] == [None, 2.0, 0.0]
    assert kinds(boundary(source, "x=unknown"), "x") == ["unknown", "unknown"]


def test_periodic_and_back():
    source = flow()
    schema = boundary(source, "x=periodic")
    assert schema.axis("x").periodic is True and kinds(schema, "x") == ["periodic"] * 2
    assert (schema.axis("x").lower, schema.axis("x").upper) == (0.0, 3.0)
    schema = boundary(source, "y.lower=wall")
    assert schema.axis("y").periodic is False and kinds(schema, "y") == ["wall", "unknown"]
    schema = boundary(source, "y=unknown")
    assert schema.axis("y").periodic is None and kinds(schema, "y") == ["unknown"] * 2
    assert schema.axis("x") == source.schema.axis("x")
    with pytest.raises(SchemaError, match="periodic at one side and outflow"):
        boundary(source, "x.lower=periodic")


def nodes(values, last):
    """u on 5 nodes of [0, 1]; the last value given."""
    axis = Axis.through("x", np.linspace(0, 1, 5))
    schema = Schema((Variable("u", Grid((axis,)), "target"),), name="line")
    return memory(schema, {"u": np.array([[*values, last]])}, [1])


def test_nodes_that_become_periodic_get_their_last_interval():
    schema = boundary(nodes([1.0, 2.0, 3.0, 5.0], 4.0), "x=periodic")
    assert schema.axis("x").upper == 1.25 and schema.axis("x").spacing == "periodic"
    with pytest.raises(SchemaError, match=r"one place twice.*--crop x=:0.875"):
        boundary(nodes([1.0, 2.0, 3.0, 5.0], 1.0), "x=periodic")


def test_times():
    source = flow(lengths=[6, 4, 6])
    made = repair(source, Repairs(times=Times(dt=0.1)))
    np.testing.assert_allclose(made.times(1), 0.1 * np.arange(4))
    assert made.schema.dt == 0.1
    assert "repaired: times of the frames: 0 .. 2.5 became 0 .. 0.5" in made.notes
    assert "repaired: dt: 0.5 became 0.1" in made.notes
    made = repair(source, Repairs(times=Times(dt=2.0, start=10.0)))
    np.testing.assert_allclose(made.times(0), 10 + 2.0 * np.arange(6))
    made = repair(source, Repairs(times=Times((0.0, 1.0, 2.0, 4.0, 8.0, 16.0))))
    assert made.schema.dt is None and list(made.times(1)) == [0, 1, 2, 4]
    unknown = flow()
    unknown.times = lambda sample: np.full(6, np.nan)
    made = repair(unknown, Repairs(times=Times(dt=1.0)))
    assert list(made.times(2)) == [0, 1, 2, 3, 4, 5] and "unknown became 0 .. 5" in made.notes[1]


def spoiled(*samples, value=np.nan):
    source = flow(n=4)
    array = source.layout.parts[0].arrays["velocity"][0].array
    for s in samples:
        array[s, 2, 3, 4, 1] = value
    return source


def test_samples_with_nan():
    source = spoiled(1, 3)
    made = repair(source, Repairs(not_finite="drop"))
    assert made.n_samples == 2
    np.testing.assert_array_equal(made.read("density", 1), source.read("density", 2))
    np.testing.assert_allclose(made.params(1), source.params(2))
    assert "2 of 4 samples hold NaN or infinities: 1, 3; they were dropped" in made.notes[-1]
    with pytest.raises(SchemaError, match="2 of 4 samples hold NaN.*--nan drop"):
        repair(source, Repairs(not_finite="error"))
    with pytest.raises(SchemaError, match="no sample would be left"):
        repair(spoiled(0, 1, 2, 3, value=np.inf), Repairs(not_finite="drop"))


def test_nan_can_be_filled():
    source = spoiled(1, value=-np.inf)
    made = repair(source, Repairs(not_finite=7.0))
    old, new = source.read("velocity", 1), made.read("velocity", 1)
    assert new[2, 3, 4, 1] == 7.0 and new.dtype == old.dtype
    assert (old == new).sum() == old.size - 1 and "7 was filled in" in made.notes[-1]
    np.testing.assert_array_equal(made.read("count", 1), source.read("count", 1))


def test_duplicates_are_dropped_once():
    source = flow(n=4)
    for a in source.layout.parts[0].arrays.values():
        if a[0].axes[0] == "sample":
            a[0].array[2] = a[0].array[0]
    source.layout.parts[0].params["nu"][2] = source.layout.parts[0].params["nu"][0]
    made = repair(source, Repairs(drop_duplicates=True))
    assert made.n_samples == 3 and "1 samples that repeated" in made.notes[-1]
    np.testing.assert_array_equal(made.read("density", 2), source.read("density", 3))


def test_all_at_once_written_and_read_back(tmp_path):
    made = repair(
        spoiled(0),
        Repairs(
            condition("x=wall"), {"velocity": "m/s"}, {"velocity": "u"},
            {"count": "target"}, Times(dt=1.0), "drop", True,
        ),
    )  # fmt: skip
    back = open_source(convert(made, tmp_path / "a.hdf5").path)
    assert back.schema == made.schema and back.notes == made.notes and back.n_samples == 3
    assert len([n for n in back.notes if n.startswith("repaired: ")]) == 8


def test_what_cannot_be_repaired():
    source = flow()
    for repairs, error, words in (
        (Repairs(units={"velocty": "m"}), NotFound, "Did you mean 'velocity'"),
        (Repairs(rename={"w": "u"}), NotFound, "no variable, parameter or axis 'w'"),
        (Repairs(rename={"density": "count"}), SchemaError, "two things would be called count"),
        (Repairs(rename={"density": "a/b"}), SchemaError, "no slash"),
        (Repairs(roles={"solid": "state"}), SchemaError, "has no time axis"),
        (Repairs(roles={"nu": "input"}), SchemaError, "parameters stay parameters"),
        (Repairs(roles={"solid": "geometri"}), SchemaError, "Did you mean 'geometry'"),
        (Repairs(boundary=condition("z=wall")), NotFound, "no axis 'z'"),
        (Repairs(boundary=condition("x=wal")), SchemaError, "Did you mean 'wall'"),
        (Repairs(boundary=condition("w@x=wall")), NotFound, "no variable 'w'"),
        (Repairs(boundary=condition("velocity@x=periodic")), SchemaError, "all variables or"),
        (Repairs(times=Times((0.0, 1.0))), SchemaError, "must be 6 increasing numbers"),
        (Repairs(times=Times((0.0, 1.0, 1.0, 2.0, 3.0, 4.0))), SchemaError, "increasing"),
        (Repairs(times=Times(dt=-1.0)), SchemaError, "above 0"),
    ):
        with pytest.raises(error, match=words):
            repair(source, repairs)
    static = nodes([1.0, 2.0, 3.0, 4.0], 5.0)
    with pytest.raises(SchemaError, match="it has no times"):
        repair(static, Repairs(times=Times(dt=1.0)))


def test_conditions_from_text():
    assert condition("y.lower=wall") == (Boundary("y", "lower", "wall"),)
    assert [b.side for b in condition("x=periodic")] == ["lower", "upper"]
    assert condition("u,v@x.upper=dirichlet:-1e-3") == (
        Boundary("x", "upper", "dirichlet", ("u", "v"), -1e-3),
    )
    for wrong in ("x", "x=", "=wall", "x.left=wall", "@x=wall", "x=dirichlet:", "x=dirichlet:a",
                  "x=neumann:nan"):  # fmt: skip
        with pytest.raises(SchemaError, match="a boundary is"):
            condition(wrong)


def test_schemas_of_frozen_sources_stay():
    source = flow()
    before = replace(source.schema)
    repair(source, Repairs(units={"x": "km"}, rename={"x": "r"}))
    assert source.schema == before and source.notes == ("a note",)
