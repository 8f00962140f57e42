"""Axes, grids, variables, schemas: what they compute, what they refuse, JSON without loss."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciops.core.errors import NotFound, SchemaError
from sciops.core.schema import Axis, Boundary, Grid, Points, Schema, Variable

SPACINGS = ["cell", "node", "periodic", "left", "interior"]


@given(st.sampled_from(SPACINGS), st.integers(3, 200), st.floats(-5, 5), st.floats(0.1, 10))
def test_a_uniform_axis_knows_its_spacing(spacing, n, lower, length):
    axis = Axis.uniform("x", n, lower, lower + length, spacing)
    assert axis.spacing == spacing
    assert axis.widths.sum() == pytest.approx(axis.length)
    assert axis.resized(2 * n).spacing == spacing
    assert axis.resized(2 * n).length == axis.length


@pytest.mark.parametrize("spacing", SPACINGS)
def test_float32_coordinates_keep_their_spacing(spacing):
    axis = Axis.uniform("x", 1024, -1.0, 1.0, spacing)
    stored = axis.coordinates.astype(np.float32)
    assert Axis("x", stored, -1.0, 1.0, axis.periodic).spacing == spacing


@pytest.mark.parametrize(
    ("location", "periodic", "ends"),
    [("cell", None, (0.0, 1.0)), (None, True, (0.05, 1.05)), (None, None, (0.05, 0.95))],
)
def test_ends_of_an_axis_through_stored_points(location, periodic, ends):
    axis = Axis.through("x", (np.arange(10) + 0.5) / 10, location, periodic)
    assert (axis.lower, axis.upper) == pytest.approx(ends)


def test_quadrature_of_a_graded_axis_is_second_order():
    def error(n):
        x = np.linspace(0, 1, n) ** 2
        axis = Axis("x", x, 0.0, 1.0)
        assert axis.spacing == "graded"
        return abs((axis.widths * np.exp(x)).sum() - (np.e - 1))

    assert np.log2(error(64) / error(128)) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("coordinates", "text"),
    [
        ([0.0, 1.0, 1.0], "increase strictly"),
        ([0.0, np.nan], "finite"),
        ([], "non-empty"),
        ([-0.5, 0.5], "leave the domain"),
    ],
)
def test_bad_coordinates_are_refused(coordinates, text):
    with pytest.raises(SchemaError, match=text):
        Axis("x", coordinates, 0.0, 1.0)


def test_frozen():
    axis = Axis.uniform("x", 4)
    with pytest.raises(ValueError, match="read-only"):
        axis.coordinates[0] = 7.0


def schema():
    grid = Grid((Axis.uniform("x", 8), Axis.uniform("y", 6, spacing="periodic")))
    points = Points(
        [[0.0, 0.1], [0.5, 0.5], [1.0, 0.3]], cells=[[0, 1, 2]], weights=[0.2, 0.3, 0.5]
    )
    return Schema(
        (
            Variable("u", grid, "input", components=(2,), unit="m/s", frames=3, time_varying=True),
            Variable("solid", grid, "geometry", constant_along=("y",)),
            Variable("u", grid, "target", components=(2,), unit="m/s", time_varying=True),
            Variable("load", points, "target", components=(2, 2), symmetry="symmetric"),
            Variable("nu", role="param", unit="m^2/s"),
        ),
        (Boundary("x", "lower", "wall"), Boundary("x", "lower", "inflow", ("u",), 1.5)),
        dt=0.1,
        feedback=(("u", "u"),),
        name="all kinds",
    )


def test_json_and_pickle_without_loss():
    assert Schema.from_json(json.loads(json.dumps(schema().to_json()))) == schema()
    assert pickle.loads(pickle.dumps(schema())) == schema()


def test_channels():
    s = schema()
    assert s.input_channels == 3 * 2 + 1
    assert s.channel_slices("inputs") == {"u": slice(0, 6), "solid": slice(6, 7)}
    assert s.channel_slices("targets") == {"u": slice(0, 2), "load": slice(2, 6)}


def test_boundary_of_a_variable_goes_before_that_of_all():
    s = schema()
    assert s.boundary_kind("x", "lower") == "wall"
    assert s.boundary_kind("x", "lower", "u") == "inflow"
    assert s.boundary_kind("x", "upper") == "unknown"
    assert s.boundary_kind("y", "upper") == "periodic"


def test_targets_on_two_grids_have_no_common_domain():
    with pytest.raises(SchemaError, match="different grids"):
        _ = schema().target_domain


def test_unknown_names_suggest_known_ones():
    with pytest.raises(NotFound, match="Did you mean 'solid'"):
        schema()["soild"]
    with pytest.raises(NotFound, match="no axis 'z'"):
        schema().axis("z")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda g: Variable("a", g, "param"), "param"),
        (lambda g: Variable("a", None, "input"), "param"),
        (lambda g: Variable("a", g, "colour"), "role 'colour'"),
        (lambda g: Variable("a", g, symmetry="symmetric"), "tensor"),
        (lambda g: Schema((Variable("a", g), Variable("a", g))), "twice"),
        (lambda g: Schema((Variable("a", g), Variable("a", role="param"))), "both parameters and"),
        (
            lambda g: Schema(
                (Variable("a", g, "input"), Variable("b", g, "target", components=(2,))),
                feedback=(("b", "a"),),
            ),
            "feedback",
        ),
        (lambda g: Grid((g.axes[0], g.axes[0])), "different names"),
        (lambda g: g.resized((3, 3)), "cannot have the shape"),
    ],
)
def test_contradictions_are_refused(make, text):
    with pytest.raises(SchemaError, match=text):
        make(Grid((Axis.uniform("x", 4),)))


AXIS = {"name": "x", "lower": 0, "upper": 1, "periodic": None, "unit": None}
GRID = {"axes": [AXIS | {"n": 8, "spacing": "cell"}]}
VARIABLE = schema().to_json()["variables"][0]


@pytest.mark.parametrize(
    "damage",
    [
        {"schema_version": 9},
        {"variables": [{}]},
        {"domains": None},
        {"domains": [{"axes": [AXIS | {"n": 1 << 30, "spacing": "cell"}]}]},
        {"domains": [{"axes": [AXIS | {"n": 8.5, "spacing": "cell"}]}]},
        {"domains": [{"axes": [AXIS | {"n": True, "spacing": "cell"}]}]},
        {"domains": [GRID] * 10_000},
        {"variables": [VARIABLE] * 10_000},
        {"name": ["a"]},
        {"dt": "0.1"},
        {
            "boundary": [
                {"axis": "x", "side": "lower", "kind": "wall", "variables": [], "value": []}
            ]
        },
        {"boundary": [{"axis": "x", "side": "lower", "kind": "wall", "variables": 3}]},
        {"variables": [VARIABLE | {"unit": 3}]},
        {"variables": [VARIABLE | {"components": [-2]}]},
        {"variables": [VARIABLE | {"components": ["x"]}]},
        {"variables": [VARIABLE | {"constant_along": "y"}]},
    ],
)
def test_a_damaged_tree_is_a_schema_error(damage):
    with pytest.raises(SchemaError):
        Schema.from_json({**schema().to_json(), **damage})
