r"""What the operators made of one block share: they differ in their mixer only.

    v_0 = lift([a, x]),    v_{l+1} = block_l(v_l, p),  l = 0 .. L-1,    y = project(v_L)

x are the coordinates along axes that do not wrap, p the scalar parameters; the block is that of
`sciops.layers.operator_block`.  The operator works on the grid of its input, whatever its size, if
its mixer is the same operator on every grid; a mixer whose stencils count points works on the
training grid, to which the input is interpolated.  Other places than those of the grid are
interpolated to.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.errors import ConfigError
from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Axis, Schema
from sciops.layers.mlp import MLP, ChannelMLP
from sciops.layers.operator_block import Block
from sciops.layers.spectral import Basis, Transform
from sciops.layers.spectral.basis import Kind, Spacing
from sciops.layers.spectral.transform import Backend
from sciops.operators._domains import grid_of, is_periodic, on_training_grid, with_positions


@dataclass(frozen=True)
class Along:
    """What a mixer must know of an axis, in plain values."""

    n: int  # points of the training grid
    length: float  # in units of the coordinate
    spacing: Spacing
    periodic: bool


class BlockConfig(OperatorConfig):
    """Settings of every operator made of blocks."""

    hidden_channels: PositiveInt = 32  # C, channels of v
    n_layers: PositiveInt = 4  # L, blocks
    projection_channels: PositiveInt = 64  # hidden channels of the last, pointwise map
    coordinates: bool = True  # a channel with the position, in [-1, 1], along each walled axis

    @abstractmethod
    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """The mixer of one block, (B, C, *N) -> (B, C, *N)."""

    def build(self, schema: Schema) -> BlockOperator:
        """The operator for data of `schema`; SchemaError where the inputs are not on a grid."""
        return BlockOperator(self, schema)


class SpectralConfig(BlockConfig):
    """Settings of the operators whose mixer acts on modes."""

    n_modes: PositiveInt | tuple[PositiveInt, ...] = 15  # an axis, both signs counted
    basis: Kind = "fourier"  # of axes that do not wrap
    padding: Annotated[float, Field(ge=0, le=1)] = 0.5  # fourier: zeros behind a wall, in lengths
    backend: Backend = "auto"  # how the transform is computed

    def transform(self, axes: tuple[Along, ...]) -> Transform:
        """Onto the modes kept along each axis, no more than its points can carry."""
        return Transform(self.bases(axes), self.backend)

    def bases(self, axes: tuple[Along, ...]) -> tuple[Basis, ...]:
        """The functions kept along each axis."""
        modes = self.n_modes
        if isinstance(modes, int):
            modes = (modes,) * len(axes)
        if len(modes) != len(axes):
            raise ConfigError(f"n_modes: expected one number or {len(axes)}, got {modes}")
        return tuple(self._basis(axis, m) for axis, m in zip(axes, modes, strict=True))

    def _basis(self, axis: Along, m: int) -> Basis:
        if axis.periodic:
            return Basis("fourier", min(m, axis.n - 1 + axis.n % 2), axis.spacing)
        kind = self.basis
        if kind == "fourier":
            extension = padded_length(axis.n, self.padding) / axis.n
            return Basis(kind, min(m, axis.n - 1 + axis.n % 2), axis.spacing, extension)
        lost = {"cell": 0, "node": 2, "left": 1, "interior": 0}.get(axis.spacing, 0)
        most = axis.n - lost if kind == "sine" else axis.n
        return Basis(kind, max(1, min(m, most)), axis.spacing)


def padded_length(n: int, padding: float) -> int:
    """The next length from n (1 + padding) on that has no factors but 2, 3, 5."""
    from scipy.fft import next_fast_len

    return next_fast_len(round(n * (1 + padding)), real=True)


class BlockOperator(Operator):
    """Lifting, blocks, projection; see the equations above."""

    def __init__(self, config: BlockConfig, schema: Schema) -> None:
        super().__init__(config, schema)
        grid = grid_of(schema, config.kind)
        axes = tuple(_along(schema, axis) for axis in grid.axes)
        walled = [d for d, axis in enumerate(axes) if not axis.periodic]
        self.positions = walled if config.coordinates else []
        c, n_params = config.hidden_channels, len(schema.params)
        embedding = 2 * c if n_params else 0
        self.embed = MLP((n_params, embedding, embedding)) if n_params else None
        self.lift = ChannelMLP((schema.input_channels + len(self.positions), c))
        mixers = [config.mixer(axes) for _ in range(config.n_layers)]
        self.blocks = nn.ModuleList(Block(mixer, c, embedding) for mixer in mixers)
        self.project = ChannelMLP((c, config.projection_channels, schema.target_channels))
        self.counts_points = any(m.resolution == "fixed" for m in mixers)

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *shape of `at`)."""
        if self.counts_points:
            a, at = on_training_grid(self, a, at)
        p = F.gelu(self.embed(params)) if self.embed is not None else None  # (B, E)
        v = self.lift(with_positions(self, a, self.positions))
        for block in self.blocks:
            v = block(v, p)
        return self.sample_input(self.project(v), at)


def _along(schema: Schema, axis: Axis) -> Along:
    """A graded axis counts by its index, in which its points are equidistant."""
    spacing = axis.spacing
    if spacing == "graded":
        spacing = "periodic" if schema.wraps(axis) else "node"
    return Along(axis.size, axis.length, spacing, is_periodic(schema, axis.name))
