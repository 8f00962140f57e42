r"""Networks that take a residual to a direction: z = f(r), close to A^-1 r up to a factor.

`DirectionNetwork` is the published one (DCDM).  c convolutions of size 3 with zeros outside, bias
and ReLU, except that the first and the last map are linear:

    s = F(r)  on the grid,    w = H(pool s)  on half the grid,    z = W G(s + up w)

F is two convolutions, p_1 pairs and one convolution, H is p_2 pairs and G is p_3 pairs, a pair
being v + relu(b * relu(a * v)).  pool is the mean of 2^D points, up repeats each value, W mixes
the channels at each point.  In three dimensions with 16 channels, (p_1, p_2, p_3) = (1, 3, 2) has
97,457 parameters (published for 64^3) and (2, 5, 3) has 152,881 (published for 128^3).  It knows
one matrix, the one that it was trained on.

`GeometryNetwork` (ours) is told the matrix: its diagonal d and features m of each cell.  With d
relative to its geometric mean,

    z = r / d + u_1 + u_2 / d,    u = W v_0
    v_{l+1} = block(pool v_l)  down,    v_l <- block(v_l + up v_{l+1})  up again
    block(v) = v + b * act(g_l . (a * v)),    g_l = 1 + tanh(S h_l)

on several grids, each half as fine as the one before; v_0 starts from convolutions of r and r / d.
h_l, a convolutional network of m, decides the gates g_l of grid l once for a matrix.  With
act(v) = v and no bias z is linear in r; else act is GELU.  W starts as zero, so that an untrained
network is Jacobi.  In solid cells (d = 0) z = 0.

Source: A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran, A deep conjugate direction method
for iteratively solving linear systems, ICML 2023, arXiv 2205.10763; layers read off the authors'
ayano721/2023_DCDM, src/train.py.  Linearity in the residual: Y. Lan, Z. Li, J. Sun, Y. Xiang, A
neural-preconditioned Poisson solver for mixed Dirichlet and Neumann boundary conditions, ICML 2024,
arXiv 2310.00177.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.convolution import Convolution, channels_last

_MEANS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def halved(v: Tensor) -> Tensor:
    """Means over 2^D points, fewer at an odd end.  (B, C, *N) -> (B, C, *ceil(N / 2))."""
    if not torch.compiler.is_compiling():
        width = [min(2, n) for n in v.shape[2:]]
        return _MEANS[v.ndim - 2](v, width, width, ceil_mode=True)
    for dim in range(2, v.ndim):  # the same for sizes that are not known: the last point twice
        n = v.shape[dim]
        points = torch.arange(2 * ((n + 1) // 2), device=v.device).clamp(max=n - 1)
        v = v.index_select(dim, points)
    return _MEANS[v.ndim - 2](v, 2)


def doubled(v: Tensor, sizes: Sequence[int]) -> Tensor:
    """Each value twice along every axis.  (B, C, *ceil(N / 2)) -> (B, C, *N) with N = `sizes`."""
    if not torch.compiler.is_compiling():
        v = F.interpolate(v, scale_factor=2.0, mode="nearest")
        return v[(..., *(slice(n) for n in sizes))]
    for dim, n in enumerate(sizes, start=2):
        v = v.index_select(dim, torch.arange(n, device=v.device) // 2)
    return v


def _convolution(c_in: int, c_out: int, d: int, size: int = 3, bias: bool = True) -> Convolution:
    """A convolution with zeros outside, begun as Keras does: Glorot uniform, bias zero."""
    layer = Convolution(c_in, c_out, ("zeros",) * d, size, bias=bias)
    nn.init.xavier_uniform_(layer.convolution.weight)
    if bias:
        nn.init.zeros_(layer.convolution.bias)
    return layer


class _Pair(nn.Module):
    """v + relu(b * relu(a * v)); shapes stay."""

    def __init__(self, channels: int, d: int) -> None:
        super().__init__()
        self.a, self.b = (_convolution(channels, channels, d) for _ in range(2))

    def forward(self, v: Tensor) -> Tensor:
        return v + F.relu(self.b(F.relu(self.a(v))))


def _arranged(v: Tensor) -> Tensor:
    """The same values, with the channels of a point side by side in three dimensions on a CPU.

    Convolutions keep this order, means do not; a training step takes 1 / 1.4 of the time in it.
    """
    return channels_last(v) if v.ndim == 5 and v.device.type == "cpu" else v


class DirectionNetwork(nn.Module):
    """The published network (formula: top of this file).

    Parameters
    ----------
    dimension
        D, 1 to 3 (published: 3).
    channels
        c (published: 16).
    pairs
        (p_1, p_2, p_3).

    Notes
    -----
    Shapes: r (B, 1, *N) -> z (B, 1, *N), D axes of any size.
    """

    def __init__(
        self, dimension: int = 3, channels: int = 16, pairs: tuple[int, int, int] = (1, 3, 2)
    ) -> None:
        super().__init__()
        _check_dimension(dimension)

        def chain(count: int) -> nn.Sequential:
            return nn.Sequential(*(_Pair(channels, dimension) for _ in range(count)))

        self.dimension = dimension
        self.first = _convolution(1, channels, dimension)
        self.second = _convolution(channels, channels, dimension)
        self.before, self.coarse, self.after = (chain(count) for count in pairs)
        self.third = _convolution(channels, channels, dimension)
        self.last = _convolution(channels, 1, dimension, size=1)

    def forward(self, r: Tensor) -> Tensor:
        """r (B, 1, *N) -> (B, 1, *N)."""
        check_field(r, 1, self.dimension, "r")
        v = self.before(F.relu(self.second(_arranged(self.first(r)))))
        skip = F.relu(self.third(v))
        w = self.coarse(_arranged(halved(skip)))
        return self.last(self.after(skip + doubled(w, skip.shape[2:])))


class _Block(nn.Module):
    """v + b * act(g . (a * v)), the gates g from the features h of the same grid."""

    def __init__(self, channels: int, d: int, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.a, self.b = (_convolution(channels, channels, d, bias=not linear) for _ in range(2))
        self.gate = _convolution(channels, channels, d, size=1)

    def gates(self, h: Tensor) -> Tensor:
        """h (B, c, *N) -> g (B, c, *N)."""
        return 1 + torch.tanh(self.gate(h))

    def forward(self, v: Tensor, g: Tensor) -> Tensor:
        v_a = g * self.a(v)
        return v + self.b(v_a if self.linear else F.gelu(v_a))


class GeometryNetwork(nn.Module):
    """A network that is told the matrix (formula: top of this file).

    Parameters
    ----------
    dimension
        D, 1 to 3.
    features
        Number of features m of a cell.
    channels
        Channels of residual and features on every grid.
    levels
        Number of grids; each has ceil(n / 2) points of the n before.
    linear
        Whether z is linear in r: no activation and no bias on its way.

    Notes
    -----
    `gates` is done once for a matrix, `direction` for each residual; `forward` is both.
    Shapes: r, inverse (B, 1, *N), m (B, features, *N) -> z (B, 1, *N).
    """

    def __init__(
        self,
        dimension: int,
        features: int,
        channels: int = 16,
        levels: int = 4,
        linear: bool = True,
    ) -> None:
        super().__init__()
        _check_dimension(dimension)
        d, c = dimension, channels
        self.dimension, self.features, self.levels = dimension, features, levels
        self.read = nn.ModuleList(_convolution(c if l else features, c, d) for l in range(levels))
        self.mix = nn.ModuleList(_convolution(c, c, d) for _ in range(levels))
        self.lift = _convolution(2, c, d, bias=False)
        self.down, self.up = (
            nn.ModuleList(_Block(c, d, linear) for _ in range(levels)) for _ in range(2)
        )
        self.last = _convolution(c, 2, d, size=1, bias=False)
        nn.init.zeros_(self.last.convolution.weight)

    def gates(self, m: Tensor) -> list[Tensor]:
        """The gates of all blocks, finest grid first, two (B, c, *N_l) for each."""
        check_field(m, self.features, self.dimension, "m")
        found, h = [], m
        for level in range(self.levels):
            h = F.gelu(self.read[level](halved(h) if level else h))
            h = h + F.gelu(self.mix[level](h))
            found += [self.down[level].gates(h), self.up[level].gates(h)]
        return found

    def direction(self, r: Tensor, inverse: Tensor, gates: Sequence[Tensor]) -> Tensor:
        """z of r, with `inverse` = 1 / d, 0 in solid cells, and what `gates` gave."""
        check_field(r, 1, self.dimension, "r")
        r = torch.where(inverse == 0, 0.0, r)
        jacobi = inverse * r
        fields = [self.down[0](self.lift(torch.cat([r, jacobi], 1)), gates[0])]
        for level in range(1, self.levels):
            fields.append(self.down[level](halved(fields[-1]), gates[2 * level]))
        v = self.up[-1](fields[-1], gates[-1])
        for level, (fine, _) in reversed(list(enumerate(pairwise(fields)))):
            v = self.up[level](fine + doubled(v, fine.shape[2:]), gates[2 * level + 1])
        u = self.last(v)  # (B, 2, *N)
        z = jacobi + u.narrow(1, 0, 1) + inverse * u.narrow(1, 1, 1)
        return torch.where(inverse == 0, 0.0, z)

    def forward(self, r: Tensor, m: Tensor, inverse: Tensor) -> Tensor:
        """r, inverse (B, 1, *N), m (B, features, *N) -> z (B, 1, *N)."""
        return self.direction(r, inverse, self.gates(m))


def check_field(v: Tensor, channels: int, dimension: int, name: str) -> None:
    """Raise ShapeError unless v is (B, channels, *N) with `dimension` axes."""
    if v.ndim != dimension + 2 or v.shape[1] != channels:
        raise ShapeError(
            f"expected {name} as a field (B, {channels}, *N) with {dimension} axes, "
            f"got {tuple(v.shape)}"
        )


def _check_dimension(dimension: int) -> None:
    if dimension not in _MEANS:
        raise ConfigError(f"a network needs one to three dimensions, got {dimension}")
