r"""U-Net: convolutions on a ladder of grids, with a link between the two sides of each rung.

    v = stem(x);   down:  s_l = block_l(v),  v = K_l s_l   (stride 2),      l = 0 .. L-1
    bottom:        v = block(v)
    up:            v = block'_l([P_l v, s_l]),   P_l to the very size of s_l,  l = L-1 .. 0
    y = head(gelu(norm(v)))

    block(v) = S v + K_2 gelu((1 + gamma(p)) norm(K_1 gelu(norm(v))) + beta(p))

K are 3-point convolutions along every axis, S is the identity or, where the channels change, a
linear map; norm is GroupNorm, which uses no statistics of the batch; gamma and beta condition on
the scalar parameters p (FiLM).  Periodic axes wrap; elsewhere the field is continued by zeros or
by its outermost value.  Any grid size serves, since each axis is halved upwards and restored to
the size that it had.

Sources: Ronneberger, Fischer, Brox, U-Net: convolutional networks for biomedical image
segmentation, 2015 (arXiv:1505.04597); Perez, Strub, de Vries, Dumoulin, Courville, FiLM: visual
reasoning with a general conditioning layer, 2018 (arXiv:1709.07871).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Grid, Schema
from sciops.layers.convolution import Convolution, Side, upsampled
from sciops.layers.mlp import MLP, ChannelMLP
from sciops.operators._domains import grid_of, is_periodic, on_training_grid, with_positions


class Config(OperatorConfig):
    """U-Net in one, two or three dimensions."""

    width: Annotated[int, Field(ge=4)] = 16  # channels on the finest grid
    levels: NonNegativeInt = 3  # times that the grid is halved
    growth: Annotated[float, Field(ge=1, le=2)] = 1.5  # channels of a grid over the finer one's
    padding: Literal["zeros", "replicate"] = "zeros"  # beyond the sides that are not periodic
    coordinates: bool = True  # a channel with the position, in [-1, 1], along each walled axis
    head: PositiveInt = 64  # hidden channels of the last, pointwise map
    resolution: Literal["training", "input"] = "training"  # the grid on which it works, see UNet

    def build(self, schema: Schema) -> UNet:
        """The operator for data of `schema`; SchemaError where the inputs are not on a grid."""
        return UNet(self, schema)


class UNet(Operator):
    """The U-Net; what it gives on its grid is interpolated to other asked points.

    The reach of a convolution is counted in points, so a trained U-Net holds for one spacing
    only: trained on Darcy flow at 16 x 16 its relative L2 error of 0.09 becomes 0.50 at 32 x 32.
    With resolution: training an input of another size is therefore interpolated to the training
    grid, and the output back; with resolution: input it is worked on as it comes, which is for
    training on grids of several sizes.
    """

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        grid = grid_of(schema, "unet")
        sides = padding_of(schema, grid, config.padding)
        self.sides = sides
        walled = [d for d, side in enumerate(sides) if side != "periodic"]
        self.positions = walled if config.coordinates else []
        self.on_training_grid = config.resolution == "training"
        widths = [round(config.width * config.growth**level) for level in range(config.levels + 1)]
        n_params = len(schema.params)
        embedding = 2 * config.width if n_params else 0
        self.embed = MLP((n_params, embedding, embedding)) if n_params else None
        self.stem = Convolution(schema.input_channels + len(self.positions), widths[0], sides)
        rungs = list(zip(widths[:-1], widths[1:], strict=True))  # channels (fine, coarse)
        self.down = nn.ModuleList(Block(c, c, sides, embedding) for c, _ in rungs)
        self.halve = nn.ModuleList(Convolution(c, d, sides, stride=2) for c, d in rungs)
        self.bottom = Block(widths[-1], widths[-1], sides, embedding)
        self.up = nn.ModuleList(Block(c + d, c, sides, embedding) for c, d in rungs)
        self.norm = group_norm(widths[0])
        self.head = ChannelMLP((widths[0], config.head, schema.target_channels))

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *shape of `at`)."""
        if self.on_training_grid:
            a, at = on_training_grid(self, a, at)
        return self.sample_input(self._field(a, params), at)

    def _field(self, a: Tensor, params: Tensor) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *N)."""
        p = F.gelu(self.embed(params)) if self.embed is not None else None  # (B, E)
        v = self.stem(with_positions(self, a, self.positions))
        links = []
        for block, halve in zip(self.down, self.halve, strict=True):
            v = block(v, p)
            links.append(v)
            v = halve(v)
        v = self.bottom(v, p)
        for block in reversed(self.up):
            link = links.pop()
            v = block(torch.cat([upsampled(v, link.shape[2:], self.sides), link], 1), p)
        return self.head(F.gelu(self.norm(v)))


class Block(nn.Module):
    """Two normalised convolutions beside a link, conditioned on the parameters.

    Parameters
    ----------
    c_in, c_out
        Channels of input and output.
    sides
        What lies beyond the ends of each axis.
    embedding
        Numbers E that stand for the parameters; 0 where there are none.

    Notes
    -----
    Shapes: v (B, c_in, *N), p (B, E) or None -> (B, c_out, *N).
    """

    def __init__(self, c_in: int, c_out: int, sides: Sequence[Side], embedding: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = group_norm(c_in), group_norm(c_out)
        self.conv_1 = Convolution(c_in, c_out, sides, bias=False)
        self.conv_2 = Convolution(c_out, c_out, sides)
        self.link = Convolution(c_in, c_out, sides, 1) if c_in != c_out else nn.Identity()
        self.film = nn.Linear(embedding, 2 * c_out) if embedding else None

    def forward(self, v: Tensor, p: Tensor | None) -> Tensor:
        """(B, c_in, *N) -> (B, c_out, *N)."""
        h = self.norm_2(self.conv_1(F.gelu(self.norm_1(v))))
        if self.film is not None:
            film = self.film(p).reshape(v.shape[0], -1, *([1] * (v.ndim - 2)))
            gamma, beta = film.chunk(2, dim=1)  # (B, c_out, 1, ..)
            h = (1 + gamma) * h + beta
        return self.link(v) + self.conv_2(F.gelu(h))


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with at most 8 groups of at least 4 channels, so that one point is enough."""
    groups = next(g for g in range(min(8, channels // 4), 0, -1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def padding_of(schema: Schema, grid: Grid, otherwise: Side) -> tuple[Side, ...]:
    """The padding of each axis: around on periodic axes, `otherwise` on the others."""
    return tuple("periodic" if is_periodic(schema, axis.name) else otherwise for axis in grid.axes)
