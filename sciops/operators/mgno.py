r"""MgNO, the multigrid neural operator: layers of linear multigrid cycles.

    v_0 = a,    v_{l+1} = gelu( (1 + gamma_l(p)) (W_l v_l + L_l v_l + b_l(x)) + beta_l(p) ),
    y = H v_L

W_l is one cycle of `sciops.layers.multigrid` from the channels of v_l to `width` channels, L_l a
map of channels at each point, b_l a polynomial of the position along the axes with walls, gamma
and beta of the scalar parameters p (where there are any; FiLM).  There is neither lifting nor
projection: the first cycle takes the channels of the data, and the head H, a map of channels or
one more cycle, gives those of the target.  Walls and points of each axis come from the data:
Dirichlet where the targets are prescribed, periodic where they wrap, Neumann elsewhere.

By default the data f are restricted, as published, but the correction is P (u_c - Pi u), transfers
are fixed and a level has one smoothing step.  The suite `mgno_settings` compares that with true
multigrid (restrict: residual), with the published additive method, and with each setting.

With resolution: training the operator works on the grid of the training data, to which an input of
another size is restricted or prolonged, and from which the output comes back, by the transfers of
multigrid; with resolution: input it works on the grid of the input, its stencils in physical units.

The presets are the settings of the published experiments.  What differs: the Navier-Stokes and
Helmholtz networks hold LayerNorms with weights for every point of one grid, in Navier-Stokes
inside W, which is then not linear; these would tie the operator to that grid, and are left out.
Where those networks have a bias in every stencil, here is one for every layer.

Source: J. He, X. Liu, J. Xu, MgNO: Efficient parameterization of linear operators via multigrid,
2024, arXiv 2310.19809; settings from github.com/xlliu2017/MgNO at 3a68a90 (README, models.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, cast

import torch
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Axis, Schema
from sciops.layers.convolution import channels_last
from sciops.layers.mlp import MLP
from sciops.layers.multigrid import Line, Scheme, VCycle, resample
from sciops.layers.multigrid.cycle import Transfer
from sciops.layers.multigrid.line import Centring, Wall
from sciops.operators._domains import grid_of, is_periodic

Preset = Literal["default", "darcy_smooth", "darcy_rough", "navier_stokes", "helmholtz", "pipe"]
DIRICHLET = ("dirichlet", "wall", "inflow")  # kinds of boundary on which a field is prescribed

_PUBLISHED: dict[str, Any] = {
    "width": 24,
    "levels": 6,
    "restrict": "data",
    "correction": "sum",
    "transfers": "strided",
    "walls": "dirichlet",
    "alignment": "vertex",
    "bias_degree": 0,
}
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "darcy_smooth": {
        **_PUBLISHED,
        "n_layers": 5,
        "steps": ((1, 0),) * 5 + ((2, 0),),
        "kernels": (3, 4, 3, 3, 4),
    },
    "darcy_rough": {**_PUBLISHED, "n_layers": 4, "steps": ((1, 0),) * 5 + ((2, 0),)},
    "navier_stokes": {
        **_PUBLISHED,
        "n_layers": 5,
        "width": 32,
        "levels": 5,
        "steps": ((1, 0),) * 3 + ((2, 0),) * 2,
        "local": False,
        "predict": "increment",
    },
    "helmholtz": {
        **_PUBLISHED,
        "n_layers": 4,
        "width": 20,
        "levels": 5,
        "growth": 1,
        "steps": ((1, 0),) * 4 + ((2, 0),),
        "kernels": (3, 4, 4, 3),
        "walls": "neumann",
        "alignment": "data",
        "local": False,
        "head": "cycle",
    },
    "pipe": {
        **_PUBLISHED,
        "n_layers": 5,
        "steps": ((1, 0),) * 4 + ((1, 1), (2, 0)),
    },
}


class Config(OperatorConfig):
    """MgNO; settings that are given replace those of the preset."""

    preset: Preset = "default"
    width: PositiveInt = 24  # channels of v
    n_layers: PositiveInt = 4
    levels: PositiveInt | Literal["auto"] = "auto"  # grids; auto: down to two points an axis
    steps: tuple[tuple[NonNegativeInt, NonNegativeInt], ...] = ((1, 0),)  # (pre, post) a level
    restrict: Literal["residual", "data"] = "data"  # residual: multigrid, at more cost
    correction: Literal["difference", "sum"] = "difference"  # of restrict: data; sum: as published
    transfers: Transfer = "fixed"  # strided: as published; misplaces walls and coarse points
    kernels: tuple[Literal[3, 4], ...] = (4,)  # of strided prolongations, a level each
    growth: NonNegativeInt = 0  # channels of level l are (1 + growth l) times those of level 0
    walls: Literal["data", "dirichlet", "neumann"] = "data"  # of axes that do not wrap
    alignment: Literal["data", "cell", "vertex"] = "data"  # coarse points: as the points lie
    local: bool = True  # whether there is L
    bias_degree: NonNegativeInt = 2  # of b; 0 is a constant
    head: Literal["map", "cycle"] = "map"
    resolution: Literal["training", "input"] = "training"  # the grid on which it works

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {**PRESETS.get(str(given.get("preset", "default")), {}), **given}
        return given

    @property
    def scheme(self) -> Scheme:
        """How the grids of a cycle work together."""
        return Scheme(self.steps, self.restrict, self.correction, self.transfers, self.kernels)

    def build(self, schema: Schema) -> MgNO:
        """The operator for data of `schema`; SchemaError where the inputs are not on a grid."""
        return MgNO(self, schema)


class MgNO(Operator):
    """The multigrid neural operator; other places than those of the grid are interpolated to."""

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        grid = grid_of(schema, "mgno")
        self.lines = tuple(_line(config, schema, axis) for axis in grid.axes)
        self.free_lines = tuple(  # of the inputs, on which the walls of the targets ask nothing
            line if line.periodic else Line("neumann", "neumann", line.centring)
            for line in self.lines
        )
        self.walled = [not line.periodic for line in self.lines]
        self.works_on_input = config.resolution == "input"
        n_params = len(schema.params)
        embedding = 2 * config.width if n_params else 0
        self.embed = MLP((n_params, embedding, embedding)) if n_params else None
        widths = [schema.input_channels] + [config.width] * config.n_layers
        self.layers = nn.ModuleList(
            Layer(c, d, self._cycle(config, c, d), config, embedding, self.walled)
            for c, d in zip(widths[:-1], widths[1:], strict=True)
        )
        last = config.width, schema.target_channels
        if config.head == "cycle":
            self.head: nn.Module = self._cycle(config, *last)
        else:
            self.head = ChannelsLastMap(*last)

    def _cycle(self, config: Config, c_f: int, c_u: int) -> VCycle:
        levels = config.scheme.depth(self.lines, self.input_shape)
        if config.levels != "auto":
            levels = min(levels, config.levels)
        return VCycle(c_f, c_u, self.lines, levels, config.scheme, config.growth)

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *shape of `at`)."""
        sizes = a.shape[2:]
        tracing = torch.compiler.is_compiling()  # then the graph has to hold for every size
        carried = not self.works_on_input and (tracing or sizes != self.input_shape)
        if carried:
            a = resample(a, self.free_lines, self.input_shape)
        y = self._field(a, params)
        if carried:  # in a scale in which a prescribed value of 0 is 0
            zero = (self.target_mean / self.target_scale).reshape(-1, *[1] * len(sizes))
            y = resample(y + zero, self.lines, sizes) - zero
        return self.sample_input(y, at)

    def _field(self, a: Tensor, params: Tensor) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *N)."""
        p = F.gelu(self.embed(params)) if self.embed is not None else None  # (B, E)
        x = [
            2 * self.input_fractions(d, a) - 1 if walled else None
            for d, walled in enumerate(self.walled)
        ]
        ratio = self._ratio(a.shape[2:]) if self.works_on_input else 1.0
        v = channels_last(a)
        for layer in self.layers:
            v = layer(v, layer.cycle(v, ratio), x, p)
        if isinstance(self.head, VCycle):
            return self.head(v, ratio)
        return self.head(v.movedim(1, -1)).movedim(-1, 1)

    def _ratio(self, sizes: Sequence[int]) -> float:
        """The spacing of a grid over that of the training grid, the geometric mean of the axes."""
        logarithms = [
            math.log(line.intervals(n) / line.intervals(m))
            for line, n, m in zip(self.lines, self.input_shape, sizes, strict=True)
        ]
        return math.exp(sum(logarithms) / len(logarithms))


class Layer(nn.Module):
    """gelu((1 + gamma) (W v + L v + b) + beta).

    Notes
    -----
    Shapes: v (B, c_in, *N), w = W v (B, c_out, *N), x the places along each axis (n,) in [-1, 1]
    or None, p (B, E) or None -> (B, c_out, *N).
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        cycle: VCycle,
        config: Config,
        embedding: int,
        walled: Sequence[bool],
    ) -> None:
        super().__init__()
        self.cycle = cycle
        self.local = ChannelsLastMap(c_in, c_out) if config.local else None
        self.bias = PolynomialBias(c_out, walled, config.bias_degree)
        self.film = nn.Linear(embedding, 2 * c_out) if embedding else None

    def forward(self, v: Tensor, w: Tensor, x: Sequence[Tensor | None], p: Tensor | None) -> Tensor:
        """The next v, given W v."""
        u = w.movedim(1, -1) + self.bias(x, w)  # (B, *N, c_out)
        if self.local is not None:
            u = self.local(v.movedim(1, -1), onto=u)
        if self.film is not None:
            film = self.film(p).reshape(v.shape[0], *([1] * (v.ndim - 2)), -1)
            gamma, beta = film.chunk(2, dim=-1)  # (B, 1, .., c_out)
            u = (1 + gamma) * u + beta
        return F.gelu(u).movedim(-1, 1)


class PolynomialBias(nn.Module):
    r"""b_c(x) = sum_k w_ck prod_d P_{k_d}(x_d), Legendre polynomials of total degree <= `degree`.

    Along an axis that wraps b is constant.  The same function on every grid.
    """

    def __init__(self, channels: int, walled: Sequence[bool], degree: int) -> None:
        super().__init__()
        orders = (range(degree + 1) if wall else range(1) for wall in walled)
        self.orders = [k for k in product(*orders) if sum(k) <= degree]
        self.weight = nn.Parameter(torch.zeros(channels, len(self.orders)))

    def forward(self, x: Sequence[Tensor | None], like: Tensor) -> Tensor:
        """b (*N, C), or (1, .., C) where it is constant."""
        sizes = like.shape[2:] if len(self.orders) > 1 else (1,) * (like.ndim - 2)
        functions = []
        for orders in self.orders:
            f = like.new_ones(sizes)
            for d, k in enumerate(orders):
                if k:
                    values = _legendre(k, cast(Tensor, x[d]).to(like.dtype))
                    f = f * values.reshape([-1 if e == d else 1 for e in range(len(orders))])
            functions.append(f)
        return F.linear(torch.stack(functions, -1), self.weight)


class ChannelsLastMap(nn.Linear):
    """A map of the channels at each point, without bias: (B, *N, c_in) -> (B, *N, c_out)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out, bias=False)

    def forward(self, v: Tensor, onto: Tensor | None = None) -> Tensor:
        """W v, added to `onto` (B, *N, c_out)."""
        if onto is None:
            return super().forward(v)
        rows = torch.addmm(onto.flatten(0, -2), v.flatten(0, -2), self.weight.t())
        return rows.reshape(onto.shape)


def _legendre(k: int, x: Tensor) -> Tensor:
    """P_k(x)."""
    before, here = torch.ones_like(x), x
    for j in range(1, k):
        before, here = here, ((2 * j + 1) * x * here - j * before) / (j + 1)
    return here


def _line(config: Config, schema: Schema, axis: Axis) -> Line:
    """What multigrid must know of an axis."""
    if is_periodic(schema, axis.name):
        return Line("periodic", "periodic", "cell" if config.alignment == "cell" else "node")
    centring: Centring = "node" if axis.spacing in ("graded", "periodic") else axis.spacing
    if config.alignment != "data":
        centring = "cell" if config.alignment == "cell" else "interior"
    lower, upper = (_wall(config, schema, axis.name, side) for side in ("lower", "upper"))
    return Line(lower, upper, centring)


def _wall(config: Config, schema: Schema, axis: str, side: Any) -> Wall:
    if config.walls != "data":
        return config.walls
    kinds = {schema.boundary_kind(axis, side, v.name) for v in schema.targets}
    return "dirichlet" if kinds and kinds <= set(DIRICHLET) else "neumann"
