r"""Between the domains of the training and those that are asked for.

    inputs    of another resolution come to the points of the training grid,  a -> a(x_train)
    targets   known at the points of the training domain are read where asked,  v -> v(at)

both by linear interpolation (`sciops.core.interpolation`), of second order in the spacing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciops.core.errors import SchemaError, ShapeError
from sciops.core.interpolation import to_axes, to_points
from sciops.core.operator import At, Operator
from sciops.core.schema import Grid, Points, Schema


def grid_of(schema: Schema, who: str, dimensions: Sequence[int] = (1, 2, 3)) -> Grid:
    """The grid of the inputs, for an operator that works on it and interpolates its output.

    Raises
    ------
    SchemaError
        Unless the inputs lie on a grid of one of `dimensions` and the targets on the same axes,
        or on points of that dimension.
    """
    grid, targets = schema.input_domain, schema.target_domain
    if not isinstance(grid, Grid):
        raise SchemaError(
            f"{who} needs inputs on a grid, but these lie on {grid.shape[0]} scattered points; "
            f"interpolate them to a grid, or use deeponet, which takes points"
        )
    if grid.dimension not in dimensions:
        raise SchemaError(
            f"{who} works on grids of {' or '.join(map(str, dimensions))} axes, "
            f"but the inputs have the axes {grid.names}"
        )
    fits = (
        targets.names == grid.names
        if isinstance(targets, Grid)
        else targets.dimension == grid.dimension
    )
    if not fits:
        raise SchemaError(
            f"{who} gives fields on the axes of its input, {grid.names}, but the targets have "
            f"the axes {targets.names} in {targets.dimension}-D; use deeponet or least_squares"
        )
    return grid


def is_periodic(schema: Schema, axis: str) -> bool:
    """Whether the axis, or the boundary on both its sides, is periodic."""
    return all(schema.boundary_kind(axis, side) == "periodic" for side in ("lower", "upper"))


def with_positions(operator: Operator, a: Tensor, axes: Sequence[int]) -> Tensor:
    """a (B, C, *N) with one more channel for each of these axes: the position, in [-1, 1]."""
    channels = [a]
    for d in axes:
        shape = [1] * a.ndim
        shape[d + 2] = a.shape[d + 2]
        x = 2 * operator.input_fractions(d, a).to(a.dtype) - 1
        channels.append(x.reshape(shape).expand(a.shape[0], 1, *a.shape[2:]))
    return torch.cat(channels, 1)


def at_sensors(operator: Operator, a: Tensor) -> Tensor:
    """a (B, C, *N) at the points of the training grid: (B, C, *N_train).

    While a graph is traced the interpolation is always carried out, so that the graph holds for
    every size; between equal grids it changes nothing beyond rounding.
    """
    shape = operator.input_shape
    if not operator.periods:  # scattered points
        if a.shape[2:] != shape:
            raise ShapeError(f"expected values at the {shape[0]} training points, got {a.shape[2]}")
        return a
    if not torch.compiler.is_compiling() and a.shape[2:] == shape:
        return a
    like = a.new_empty((1, 1, *shape))
    return operator.sample_input(a, tuple(operator.input_coordinates(like)))


def on_training_grid(operator: Operator, a: Tensor, at: At) -> tuple[Tensor, At]:
    """a at the points of the training grid, and where the output is then asked for.

    For operators whose stencils count points.  `at` None means the grid that a came on.
    """
    tracing = torch.compiler.is_compiling()  # then the graph has to hold for every size
    if at is None and (tracing or a.shape[2:] != operator.input_shape):
        at = tuple(operator.input_coordinates(a))
    return at_sensors(operator, a), at


class Coordinates(nn.Module):
    """Fixed positions, kept as a sum of two float32 numbers.

    So they are exact to 1e-14 under ``.double()`` and live on devices that have no float64.
    """

    high: Tensor
    low: Tensor

    def __init__(self, values: NDArray[np.float64]) -> None:
        super().__init__()
        exact = torch.tensor(values)
        self.register_buffer("high", exact.float(), persistent=False)
        self.register_buffer("low", (exact - exact.float().double()).float(), persistent=False)

    def forward(self, like: Tensor) -> Tensor:
        """The positions, in float64 where `like` is float64 and in float32 elsewhere."""
        if like.dtype == torch.float64:
            return self.high.double() + self.low.double()
        return self.high.float()


class AskedPlaces(nn.Module):
    """What `at` means: checked, and None replaced by the places of the input's points.

    What it needs of the schema is plain numbers, so that tracing makes constants of them.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        inputs, targets = schema.input_domain, schema.target_domain
        self.dimension = targets.dimension
        self.names = (inputs.names, targets.names)
        on_grids = isinstance(inputs, Grid) and isinstance(targets, Grid)
        self.same_axes = on_grids and inputs.names == targets.names
        same_points = isinstance(inputs, Points) and inputs == targets
        self.points = Coordinates(inputs.coordinates) if same_points else None

    def forward(
        self, a: Tensor, at: At, coordinates: Sequence[Tensor]
    ) -> tuple[Tensor, ...] | Tensor:
        """The places; `coordinates` are those of the points of a, `Operator.input_coordinates`."""
        if at is None and self.same_axes:
            return tuple(coordinates)
        if at is None and self.points is not None:
            return self.points(a)
        if at is None:
            raise ShapeError(
                f"inputs {self.names[0]} and targets {self.names[1]} lie on different domains; "
                f"say where to evaluate: at=operator.at_targets(schema)"
            )
        if isinstance(at, Tensor):
            if at.ndim != 2 or at.shape[1] != self.dimension:
                raise ShapeError(f"expected points (M, {self.dimension}), got {tuple(at.shape)}")
        elif len(at) != self.dimension:
            raise ShapeError(f"expected the coordinates of {self.dimension} axes, got {len(at)}")
        return at


class TargetField(nn.Module):
    """Reads a field that is known at the points of the training's target domain.

    From a grid by linear interpolation; from scattered points by the value of the nearest one,
    which is exact at the points themselves and of first order between them.

    Notes
    -----
    Shapes: field (B, C', *N'), at axes (m_d,) or points (M, D) -> (B, C', *m) or (B, C', M).
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        domain = schema.target_domain
        axes = domain.axes if isinstance(domain, Grid) else ()
        self.periods = [a.length if schema.wraps(a) else None for a in axes]
        self.uniform = [a.spacing != "graded" for a in axes]
        self.on_grid = isinstance(domain, Grid)
        places = [a.coordinates for a in axes] if axes else [domain.coordinates]
        self.places = nn.ModuleList(Coordinates(x) for x in places)

    def forward(self, field: Tensor, at: tuple[Tensor, ...] | Tensor) -> Tensor:
        """The field at the asked places."""
        places = [coordinates(field) for coordinates in self.places]
        if not self.on_grid:
            if not isinstance(at, Tensor):
                raise ShapeError("the targets live on scattered points; ask for points (M, D)")
            pairs = zip(at.unbind(1), places[0].unbind(1), strict=True)
            distance = sum((x[:, None] - y).square() for x, y in pairs)  # (M, M')
            return field.index_select(2, distance.argmin(1))
        if isinstance(at, Tensor):
            return to_points(field, places, at, self.periods)
        return to_axes(field, places, at, self.periods, self.uniform)
