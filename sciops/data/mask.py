r"""Which points of a grid lie in the fluid: masks from shapes, and how well they meet its area.

    Circle(x, y, r)    Rectangle(x0, y0, x1, y1)    Polygon(((x, y), ..))    their union

A point belongs to a shape as a whole cell.  What is misjudged lies within rho of the shape's
boundary, where rho is the largest distance of a point from the end of its cell, so that

    |A_h - A| <= 2 rho P + pi rho^2 V        (P: perimeter, V: corners, 1 for a circle)

which is of first order in the width of the cells.  The exact area A of a union, as far as it lies
in the domain, is the integral over x of the length of its section, by Gauss' rule.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Location, Schema, Variable
from sciops.data.axis_rules import faces
from sciops.data.layout import Layout, Part, Stored
from sciops.data.source import Derived, Source

PANELS = 8  # between two corners; more than one for the kinks where shapes cross
NODES = 64  # of Gauss' rule on each panel


class Shape(ABC):
    """A closed region of the plane."""

    @abstractmethod
    def inside(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points belong to it; its boundary does."""

    @abstractmethod
    def section(self, x: float) -> list[tuple[float, float]]:
        """Intervals of y that belong to it on the line of that x."""

    @property
    @abstractmethod
    def corners(self) -> tuple[float, ...]:
        """Positions x at which its section is not smooth, the outermost ones included."""

    @property
    @abstractmethod
    def perimeter(self) -> float:
        """Length P of its boundary."""

    @property
    @abstractmethod
    def vertices(self) -> int:
        """Number V of its corners, at least 1."""


@dataclass(frozen=True)
class Circle(Shape):
    """(x - x_c)^2 + (y - y_c)^2 <= r^2."""

    x: float
    y: float
    r: float

    def __post_init__(self) -> None:
        if not self.r > 0 or not math.isfinite(self.x + self.y + self.r):
            raise SchemaError(f"a circle needs a finite centre and a radius above 0, got {self}")

    def inside(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """See `Shape`."""
        return (x - self.x) ** 2 + (y - self.y) ** 2 <= self.r**2

    def section(self, x: float) -> list[tuple[float, float]]:
        """See `Shape`."""
        square = self.r**2 - (x - self.x) ** 2
        half = math.sqrt(max(square, 0.0))
        return [(self.y - half, self.y + half)] if square > 0 else []

    @property
    def corners(self) -> tuple[float, ...]:
        """See `Shape`."""
        return (self.x - self.r, self.x + self.r)

    @property
    def perimeter(self) -> float:
        """See `Shape`."""
        return 2 * math.pi * self.r

    @property
    def vertices(self) -> int:
        """See `Shape`."""
        return 1


@dataclass(frozen=True)
class Polygon(Shape):
    """The region between the edges of a closed polygon, by the even-odd rule."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        values = [c for p in self.points for c in p]
        if len(self.points) < 3 or not all(map(math.isfinite, values)):
            raise SchemaError(f"a polygon needs 3 or more finite corners, got {self.points}")

    def _edges(self) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        return list(zip(self.points, (*self.points[1:], self.points[0]), strict=True))

    def inside(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """See `Shape`."""
        odd = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)), dtype=bool)
        edge = np.zeros_like(odd)
        for (x0, y0), (x1, y1) in self._edges():
            cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
            between = (x - x0) * (x - x1) + (y - y0) * (y - y1) <= 0
            edge |= (cross == 0) & between
            if x0 != x1:
                height = y0 + (x - x0) * (y1 - y0) / (x1 - x0)
                odd ^= ((x0 > x) != (x1 > x)) & (height > y)
        return odd | edge

    def section(self, x: float) -> list[tuple[float, float]]:
        """See `Shape`."""
        ends = sorted(
            y0 + (x - x0) * (y1 - y0) / (x1 - x0)
            for (x0, y0), (x1, y1) in self._edges()
            if (x0 > x) != (x1 > x)
        )
        return list(zip(ends[::2], ends[1::2], strict=True))

    @property
    def corners(self) -> tuple[float, ...]:
        """See `Shape`."""
        return tuple(x for x, _ in self.points)

    @property
    def perimeter(self) -> float:
        """See `Shape`."""
        return sum(math.dist(a, b) for a, b in self._edges())

    @property
    def vertices(self) -> int:
        """See `Shape`."""
        return len(self.points)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """x0 <= x <= x1, y0 <= y <= y1."""
    if not (x0 < x1 and y0 < y1):
        raise SchemaError(
            f"a rectangle needs x0 < x1 and y0 < y1, got x {x0:g} .. {x1:g}, y {y0:g} .. {y1:g}"
        )
    return Polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)))


@dataclass(frozen=True)
class Areas:
    """The area of the shapes inside the domain: exact, on the grid, and how far they may differ.

    Attributes
    ----------
    exact, grid
        A and A_h, in the square of the unit of the coordinates.
    domain
        Area of the whole domain.
    bound
        What |A_h - A| cannot exceed.
    """

    exact: float
    grid: float
    domain: float
    bound: float

    @property
    def error(self) -> float:
        """|A_h - A| / A."""
        return abs(self.grid - self.exact) / self.exact if self.exact else 0.0


def solid(grid: Grid, shapes: Sequence[Shape]) -> NDArray[np.bool_]:
    """(n_a, n_b) over the axes x and y in the grid's order: whether a point lies in a shape."""
    x_axis, y_axis = _plane(grid)
    x, y = np.meshgrid(x_axis.coordinates, y_axis.coordinates, indexing="ij")
    found = np.zeros(x.shape, dtype=bool)
    for shape in shapes:
        found |= shape.inside(x, y)
    return found if grid.names.index("x") < grid.names.index("y") else found.T


def areas(grid: Grid, shapes: Sequence[Shape]) -> Areas:
    """How well the points of a grid meet the area of the shapes."""
    x, y = _plane(grid)
    inside = solid(Grid((x, y)), shapes)
    ends = [(float(f[0]), float(f[-1])) for f in (faces(x), faces(y))]
    rho = math.hypot(*(_reach(a) for a in (x, y)))
    bound = sum(2 * rho * s.perimeter + math.pi * rho**2 * s.vertices for s in shapes)
    box = math.prod(high - low for low, high in ends)
    return Areas(area(shapes, *ends), float(x.widths @ inside @ y.widths), box, bound)


def area(
    shapes: Sequence[Shape], x_range: tuple[float, float], y_range: tuple[float, float]
) -> float:
    """Area of the union of shapes within a box."""
    low, high = x_range
    inner = {c for s in shapes for c in s.corners if low < c < high}
    breaks = sorted({low, high} | inner)
    t, weight = np.polynomial.legendre.leggauss(NODES)
    total = 0.0
    for a, b in zip(breaks[:-1], breaks[1:], strict=True):
        # x = a + (b - a) (1 - cos s) / 2 takes the square roots at the ends of a circle away
        for k in range(PANELS):
            s = math.pi * (k + (t + 1) / 2) / PANELS
            x = a + (b - a) * (1 - np.cos(s)) / 2
            scale = (b - a) / 2 * np.sin(s) * math.pi / (2 * PANELS)
            lengths = [_covered(shapes, float(at), y_range) for at in x]
            total += float(np.dot(weight * scale, lengths))
    return total


def _covered(shapes: Sequence[Shape], x: float, y_range: tuple[float, float]) -> float:
    """Length of the union of the sections at x, within a range."""
    low, high = y_range
    parts = sorted((max(a, low), min(b, high)) for s in shapes for a, b in s.section(x))
    covered, end = 0.0, low
    for a, b in parts:
        if b > end:
            covered += b - max(a, end)
            end = b
    return covered


def _reach(axis: Axis) -> float:
    """Largest distance of a point from the end of its cell."""
    walls, x = faces(axis), axis.coordinates
    return float(max((x - walls[:-1]).max(), (walls[1:] - x).max()))


def _plane(grid: Grid) -> tuple[Axis, Axis]:
    found = {a.name: a for a in grid.axes}
    if not {"x", "y"} <= set(found):
        raise SchemaError(f"shapes lie in the plane of x and y; the grid has the axes {grid.names}")
    return found["x"], found["y"]


def variable(grid: Grid, name: str = "mask", location: Location | None = None) -> Variable:
    """A mask on a grid; it does not change along axes other than x and y."""
    others = tuple(a for a in grid.names if a not in ("x", "y"))
    return Variable(name, grid, "geometry", location=location, constant_along=others)


def mask(
    grid: Grid, shapes: Sequence[Shape], fluid: Literal["outside", "inside"] = "outside"
) -> NDArray[np.bool_]:
    """(*N): True where the fluid is, outside the shapes or inside them."""
    inside = solid(grid, shapes)
    wet = inside if fluid == "inside" else ~inside
    places = [k for k, name in enumerate(grid.names) if name not in ("x", "y")]
    return np.broadcast_to(np.expand_dims(wet, places), grid.shape)


def masked_layout(
    grid: Grid,
    shapes: Sequence[Shape],
    fluid: Literal["outside", "inside"] = "outside",
    name: str = "mask",
    location: Location | None = None,
) -> Layout:
    """A data set of one sample that holds the mask alone."""
    v = variable(grid, name, location)
    plane = tuple(a for a in grid.names if a in ("x", "y"))
    inside = solid(grid, shapes)
    values = inside if fluid == "inside" else ~inside
    stored = Stored("", "memory", name, plane, values.shape, values.dtype.str, array=values)
    part = Part(name, 1, np.ones(1, dtype=np.int64), {name: (stored,)})
    schema = Schema((v,), name=name)
    return Layout(schema, (part,), "arrays", "built from shapes", (_words(shapes, fluid),))


class Masked(Derived):
    """A data set with a mask beside its fields."""

    def __init__(
        self,
        under: Source,
        grid: Grid,
        shapes: Sequence[Shape],
        fluid: Literal["outside", "inside"] = "outside",
        name: str = "mask",
        location: Location | None = None,
    ) -> None:
        super().__init__(under)
        if name in {v.name for v in under.schema.variables}:
            raise SchemaError(
                f"the data set has a variable {name!r} already; call the new one otherwise (--name)"
            )
        self.name, self.values = name, mask(grid, shapes, fluid)
        self.words = _words(shapes, fluid)
        variables = (*under.schema.variables, variable(grid, name, location))
        self.schema = replace(under.schema, variables=variables)
        self.notes = (*under.notes, f"{name}: {self.words}")

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        return self.values if name == self.name else self.under.read(name, sample, frames)

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        return np.dtype(bool) if name == self.name else self.under.dtype(name)

    def shared(self, name: str) -> bool:
        """See `Source`."""
        return name == self.name or self.under.shared(name)

    def settings(self) -> Any:
        """See `Derived`."""
        return [self.name, self.words]


def _words(shapes: Sequence[Shape], fluid: str) -> str:
    return f"1 = fluid, {fluid} of {', '.join(map(repr, shapes))}"


def grid_of(schema: Schema) -> tuple[Grid, Location | None]:
    """The first grid with axes x and y, and where its field lies; SchemaError without one."""
    for v in schema.variables:
        if isinstance(v.domain, Grid) and {"x", "y"} <= set(v.domain.names):
            return v.domain, v.location
    raise SchemaError("no field lies on a grid with axes x and y, which a mask needs")
