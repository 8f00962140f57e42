r"""DeepONet: the output at a place is an inner product of what the input and the place give.

    y_c(x) = b_c + K^{-1/2} sum_k B_{ck}(a, p) T_{ck}(x),    c = 1 .. C',  k = 1 .. K

The branch B sees the input a at fixed sensors, the points of the training grid (or the training
points), and the scalar parameters p; the trunk T sees the place.  Inputs and targets may live on
domains of different dimension, so that it also maps an initial state on x to a history on (t, x).

An input of another resolution is interpolated linearly to the sensors first: resolution that the
sensors do not have is not used.

The trunk is given, with xi in [-1, 1] along an axis and theta = 2 pi (x - lower) / L,

    (cos m theta, sin m theta),                     m = 1 .. harmonics     on a periodic axis,
    (xi, cos m pi (xi + 1) / 2, sin m pi (xi + 1) / 2)                     on any other.

Sources: Lu, Jin, Pang, Zhang, Karniadakis, Learning nonlinear operators via DeepONet, Nature
Machine Intelligence 3, 2021 (arXiv:1910.03193); trunk features, convolutional branch and output
scaling: Lu et al., A comprehensive and fair comparison of two neural operators, Computer Methods
in Applied Mechanics and Engineering 393, 2022 (arXiv:2111.05512).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.config import Settings
from sciops.core.errors import SchemaError
from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Domain, Grid, Schema
from sciops.layers.branch_trunk import BranchTrunk
from sciops.layers.convolution import Convolution, Side
from sciops.layers.mlp import MLP
from sciops.operators._domains import AskedPlaces, at_sensors, is_periodic


class MLPBranch(Settings):
    """A perceptron on all sensor values at once; takes grids and scattered points."""

    kind: Literal["mlp"] = "mlp"
    width: PositiveInt = 256  # of the hidden layers
    depth: PositiveInt = 2  # hidden layers


class ConvBranch(Settings):
    """Convolutions that halve the grid, then one hidden layer; takes grids only."""

    kind: Literal["conv"] = "conv"
    width: PositiveInt = 32  # channels after the first halving, doubled by each further one
    levels: PositiveInt = 2  # halvings
    hidden: PositiveInt = 128  # width of the layer after them


class Config(OperatorConfig):
    """DeepONet; the sensors are the points of the training grid."""

    branch: Annotated[MLPBranch | ConvBranch, Field(discriminator="kind")] = MLPBranch()
    basis: PositiveInt = 64  # K, terms of the inner product for each output
    trunk_width: PositiveInt = 128  # of the trunk's hidden layers
    trunk_depth: PositiveInt = 3  # hidden layers of the trunk
    harmonics: NonNegativeInt = 4  # Fourier features along each axis; periodic axes have >= 1

    def build(self, schema: Schema) -> DeepONet:
        """The operator for data of `schema`; SchemaError for a conv branch on points."""
        return DeepONet(self, schema)


class DeepONet(Operator):
    """Branch and trunk; see the equation above."""

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        self.outputs = outputs = schema.target_channels
        self.places = AskedPlaces(schema)
        self.features = TrunkFeatures(schema, config.harmonics)
        hidden = [config.trunk_width] * config.trunk_depth
        self.trunk = MLP((self.features.width, *hidden, outputs * config.basis))
        build = _mlp_branch if isinstance(config.branch, MLPBranch) else _conv_branch
        self.encoder, self.branch = build(config.branch, schema, outputs * config.basis)
        self.product = BranchTrunk(outputs)

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *shape of `at`); the places are shared by the batch."""
        places = self.places(a, at, self.input_coordinates(a))
        sensors = self.encoder(at_sensors(self, a)).flatten(1)  # (B, S)
        branch = self.branch(torch.cat([sensors, params.to(sensors.dtype)], 1))
        trunk = self.trunk(self.features(places).to(a.dtype))  # (M, C' K)
        shape = (self.outputs, -1)  # (C', K)
        y = self.product(branch.unflatten(1, shape), trunk.unflatten(1, shape))
        if isinstance(places, Tensor):
            return y  # (B, C', M)
        return y.unflatten(2, [x.shape[0] for x in places])


class TrunkFeatures(nn.Module):
    """Places -> what the trunk sees of them; once per axis where the places form a grid.

    Shapes: axes (m_d,) or points (M, D) -> (M, width), the last axis fastest.
    """

    def __init__(self, schema: Schema, harmonics: int) -> None:
        super().__init__()
        self.rules = _trunk_axes(schema, schema.target_domain)
        self.harmonics = harmonics
        self.width = sum(2 * max(harmonics, 1) if p else 1 + 2 * harmonics for *_, p in self.rules)

    def forward(self, places: tuple[Tensor, ...] | Tensor) -> Tensor:
        """(M, width) features."""
        if isinstance(places, Tensor):
            return torch.cat([self._along(d, x) for d, x in enumerate(places.unbind(1))], 1)
        sizes, blocks = [x.shape[0] for x in places], []
        for d, x in enumerate(places):
            features = self._along(d, x)  # (m_d, f)
            shape = [1] * len(sizes) + [features.shape[1]]
            shape[d] = sizes[d]
            blocks.append(features.reshape(shape).expand(*sizes, -1))
        return torch.cat(blocks, -1).flatten(0, -2)

    def _along(self, d: int, x: Tensor) -> Tensor:
        """(m,) -> (m, f) features of one axis."""
        lower, length, periodic = self.rules[d]
        fraction = ((x - lower) / length)[:, None]  # 0 .. 1 over the domain
        count = max(self.harmonics, 1) if periodic else self.harmonics
        wave = (2 if periodic else 1) * math.pi
        angles = fraction * torch.arange(1, count + 1, device=x.device, dtype=x.dtype) * wave
        waves = [torch.cos(angles), torch.sin(angles)]
        return torch.cat(waves if periodic else [2 * fraction - 1, *waves], 1)


def _trunk_axes(schema: Schema, domain: Domain) -> list[tuple[float, float, bool]]:
    """(lower, length, periodic) of each coordinate of the targets."""
    if isinstance(domain, Grid):
        return [(a.lower, a.length, is_periodic(schema, a.name)) for a in domain.axes]
    lower, upper = domain.coordinates.min(0), domain.coordinates.max(0)
    lengths = [float(u - l) or 1.0 for l, u in zip(lower, upper, strict=True)]
    return [(float(l), length, False) for l, length in zip(lower, lengths, strict=True)]


def _mlp_branch(config: MLPBranch, schema: Schema, outputs: int) -> tuple[nn.Module, MLP]:
    sensors = schema.input_channels * math.prod(schema.input_domain.shape)
    hidden = [config.width] * config.depth
    return nn.Identity(), MLP((sensors + len(schema.params), *hidden, outputs))


def _conv_branch(config: ConvBranch, schema: Schema, outputs: int) -> tuple[nn.Module, MLP]:
    grid = schema.input_domain
    if not isinstance(grid, Grid) or grid.dimension > 3:
        raise SchemaError(
            "deeponet with branch: {kind: conv} needs inputs on a grid of one to three axes, "
            f"but these lie on {grid.names} {grid.shape}; use branch: {{kind: mlp}}"
        )
    sides: tuple[Side, ...] = tuple(
        "periodic" if is_periodic(schema, a.name) else "zeros" for a in grid.axes
    )
    channels = [config.width * 2**level for level in range(config.levels)]
    encoder = nn.Sequential(
        *(
            _Halving(c, d, sides)
            for c, d in zip([schema.input_channels, *channels[:-1]], channels, strict=True)
        )
    )
    points = math.prod(math.ceil(n / 2**config.levels) for n in grid.shape)
    sensors = channels[-1] * points
    return encoder, MLP((sensors + len(schema.params), config.hidden, outputs))


class _Halving(nn.Module):
    """gelu(K v) with stride 2: (B, c, *N) -> (B, d, *ceil(N / 2))."""

    def __init__(self, c_in: int, c_out: int, sides: tuple[Side, ...]) -> None:
        super().__init__()
        self.convolution = Convolution(c_in, c_out, sides, stride=2)

    def forward(self, v: Tensor) -> Tensor:
        return F.gelu(self.convolution(v))
