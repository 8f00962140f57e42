"""Masks from shapes: areas, orders of axes, and the cells that count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from data.in_memory import flow

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.convert import convert
from sciops.data.formats._cfdbench import FLOWS, Case, fluid, grid_of
from sciops.data.layout import Stored
from sciops.data.mask import (
    Circle,
    Masked,
    Polygon,
    area,
    areas,
    mask,
    masked_layout,
    rectangle,
    solid,
)
from sciops.data.mask import grid_of as first_grid
from sciops.data.source import FileSource, open_source

TRIANGLE = Polygon(((0.2, 0.2), (0.9, 0.3), (0.4, 0.8)))
L_SHAPE = Polygon(((0.1, 0.1), (0.7, 0.1), (0.7, 0.3), (0.3, 0.3), (0.3, 0.9), (0.1, 0.9)))
SHAPES = {
    "circle": (Circle(0.52, 0.47, 0.23), math.pi * 0.23**2),
    "rectangle": (rectangle(0.11, 0.2, 0.63, 0.57), 0.52 * 0.37),
    "triangle": (TRIANGLE, abs(0.7 * 0.6 - 0.1 * 0.2) / 2),
    "L": (L_SHAPE, 0.6 * 0.2 + 0.2 * 0.6),
}
BOX = ((0.0, 1.0), (0.0, 1.0))


def square(n, m=None):
    return Grid((Axis.uniform("x", n), Axis.uniform("y", m or n)))


@pytest.mark.parametrize("name", SHAPES)
def test_exact_areas(name):
    shape, exact = SHAPES[name]
    assert area([shape], *BOX) == pytest.approx(exact, rel=1e-11)
    assert area([shape, shape], *BOX) == pytest.approx(exact, rel=1e-11)


def test_exact_areas_of_parts_and_unions():
    assert area([Circle(0, 0, 0.5)], *BOX) == pytest.approx(math.pi / 16, rel=1e-11)
    assert area([Circle(5, 5, 0.5)], *BOX) == 0.0
    assert area([Circle(0.5, 0.5, 9.0)], *BOX) == pytest.approx(1.0, rel=1e-12)
    two = [rectangle(0.1, 0.1, 0.5, 0.5), rectangle(0.3, 0.3, 0.8, 0.9)]
    assert area(two, *BOX) == pytest.approx(0.16 + 0.3 - 0.04, rel=1e-12)
    # two circles of radius r whose centres are r apart: a lens of r^2 (2 pi / 3 - sqrt(3) / 2)
    r = 0.2
    lens = r**2 * (2 * math.pi / 3 - math.sqrt(3) / 2)
    both = [Circle(0.4, 0.5, r), Circle(0.6, 0.5, r)]
    assert area(both, *BOX) == pytest.approx(2 * math.pi * r**2 - lens, rel=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_the_error_stays_below_its_bound_which_is_of_first_order(name):
    shape, exact = SHAPES[name]
    bounds = []
    for n in (16, 32, 64, 128, 256):
        found = areas(square(n, n + 3), [shape])
        assert found.exact == pytest.approx(exact, rel=1e-11)
        assert abs(found.grid - exact) <= found.bound
        assert found.error == abs(found.grid - found.exact) / found.exact
        bounds.append(found.bound)
    assert math.log2(bounds[-2] / bounds[-1]) == pytest.approx(1.0, abs=0.05)
    assert found.error < 0.01 and found.domain == pytest.approx(1.0)


def test_inside_and_outside_are_the_whole():
    grid = square(20, 30)
    shapes = [s for s, _ in SHAPES.values()]
    wet, dry = (mask(grid, shapes, side) for side in ("outside", "inside"))
    assert wet.shape == (20, 30) and (wet ^ dry).all()
    np.testing.assert_array_equal(dry, np.logical_or.reduce([solid(grid, [s]) for s in shapes]))


def test_a_polygon_against_points_known_by_hand():
    x = np.array([0.2, 0.5, 0.5, 0.7, 0.1, 0.75, 0.3])
    y = np.array([0.5, 0.2, 0.5, 0.3, 0.1, 0.2, 0.6])
    np.testing.assert_array_equal(L_SHAPE.inside(x, y), [1, 1, 0, 1, 1, 0, 1])


def test_orders_of_axes():
    x, y, z = Axis.uniform("x", 6), Axis.uniform("y", 4), Axis.uniform("z", 3)
    shapes = [rectangle(0.0, 0.0, 0.5, 0.25)]
    a = mask(Grid((x, y)), shapes)
    assert not a[:3, 0].any() and a[3:].all() and a[:, 1:].all()
    np.testing.assert_array_equal(mask(Grid((y, x)), shapes), a.T)
    np.testing.assert_array_equal(mask(Grid((z, y, x)), shapes)[2], a.T)
    np.testing.assert_array_equal(mask(Grid((x, z, y)), shapes)[:, 1], a)


@pytest.mark.parametrize("kind", ["dam", "cylinder"])
def test_the_masks_of_cfdbench(kind):
    (flow_,) = (f for f in FLOWS if f.name == kind)
    numbers = {"barrier_height": 0.11, "barrier_width": 0.07, "height": 0.4, "width": 1.5}
    numbers |= {"radius": 0.011, "x_min": -0.06, "x_max": 0.16, "y_min": -0.06, "y_max": 0.06}
    params = {k: numbers.get(k, 1.0) for k in flow_.params}
    u = Stored("", "memory", "u", ("time", "y", "x"), (2, 64, 64), "<f4")
    case = Case(None, flow_, params, u, u)  # no folder is needed for its mask
    shape = Circle(0, 0, 0.011) if kind == "cylinder" else rectangle(0.5, 0.0, 0.5 + 0.07, 0.11)
    np.testing.assert_array_equal(mask(grid_of(case), [shape]), fluid(case))


def test_written_alone_and_with_the_data(tmp_path):
    source, shapes = flow(), [Circle(1.5, 0.5, 0.3)]
    grid, location = first_grid(source.schema)
    assert location == "cell" and grid.shape == (12, 8)
    alone = FileSource(masked_layout(grid, shapes, location=location))
    back = open_source(convert(alone, tmp_path / "mask.hdf5").path)
    np.testing.assert_array_equal(back.read("mask", 0), mask(grid, shapes))
    assert back.schema["mask"].role == "geometry" and back.schema["mask"].location == "cell"
    both = Masked(source, grid, shapes, "inside", "pipe")
    back = open_source(convert(both, tmp_path / "both.hdf5").path)
    np.testing.assert_array_equal(back.read("pipe", 2), mask(grid, shapes, "inside"))
    np.testing.assert_array_equal(back.read("velocity", 2), source.read("velocity", 2))
    assert back.shared("pipe") and "1 = fluid, inside of Circle" in back.notes[-1]
    with pytest.raises(SchemaError, match="has a variable 'solid'"):
        Masked(source, grid, shapes, name="solid")


def test_a_third_axis_is_constant(tmp_path):
    grid = Grid((*square(6, 4).axes, Axis.uniform("z", 5)))
    layout = masked_layout(grid, [Circle(0.5, 0.5, 0.3)])
    back = open_source(convert(FileSource(layout), tmp_path / "m.hdf5").path)
    assert back.schema["mask"].constant_along == ("z",)
    assert back.layout.parts[0].arrays["mask"][0].shape == (6, 4)
    np.testing.assert_array_equal(back.read("mask", 0), mask(grid, [Circle(0.5, 0.5, 0.3)]))


def test_what_is_no_shape():
    for wrong in (
        lambda: Circle(0, 0, 0),
        lambda: Circle(0, math.nan, 1),
        lambda: rectangle(1, 0, 0, 1),
        lambda: Polygon(((0, 0), (1, 1))),
        lambda: mask(Grid((Axis.uniform("r", 4),)), [Circle(0, 0, 1)]),
        lambda: first_grid(Schema((Variable("nu", role="param"),))),
    ):
        with pytest.raises(SchemaError):
            wrong()
