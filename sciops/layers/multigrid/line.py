r"""An axis as multigrid sees it: where its points lie, what its walls do, what the coarser grid is.

The interval between two walls is [0, 1].  n points lie at

    x_i = (i + o) / N,   N = n - 1 + o + p,   i = 0 .. n - 1,

o and p the distance of the first and the last point from its wall in spacings 1 / N:

    cell       1/2, 1/2    centres of N cells                 interior   1, 1   walls left out
    node       0, 0        walls included                     left       0, 1   the first included

A periodic axis has no walls; its points lie at (i + o) / N with N = n and o = 1/2 (``cell``) or
o = 0 (any other).  A coarser grid has half the intervals, ceil(N / 2), and points of the same kind
between the same walls, so nothing moves from level to level; where N is even it is nested.

A field is continued beyond a wall by reflection, u -> s u with s = -1 at a Dirichlet wall and
s = 1 at a Neumann wall.  With o = 0 and s = -1 the value on the wall is zero by symmetry.  With
o = 1 the first point beyond is the wall itself, of value 0 or, to first order, u_0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from sciops.core.errors import ConfigError

Wall = Literal["dirichlet", "neumann", "periodic"]
Centring = Literal["cell", "node", "interior", "left"]

ALL = slice(None)
_OFFSETS = {"cell": (0.5, 0.5), "node": (0.0, 0.0), "interior": (1.0, 1.0), "left": (0.0, 1.0)}


@dataclass(frozen=True)
class Line:
    """The points of an axis and its two walls.

    Parameters
    ----------
    lower, upper
        ``dirichlet``, ``neumann``, or ``periodic`` for both.
    centring
        ``cell``, ``node``, ``interior`` or ``left``; see above.
    """

    lower: Wall = "dirichlet"
    upper: Wall = "dirichlet"
    centring: Centring = "cell"

    def __post_init__(self) -> None:
        walls = (self.lower, self.upper)
        if any(w not in get_args(Wall) for w in walls) or self.centring not in _OFFSETS:
            raise ConfigError(
                f"expected walls of {get_args(Wall)} and a centring of {get_args(Centring)}, got "
                f"{walls} and {self.centring!r}"
            )
        if ("periodic" in walls) and self.lower != self.upper:
            raise ConfigError(f"a periodic axis is periodic on both sides, got {walls}")

    @property
    def periodic(self) -> bool:
        """Whether the axis wraps."""
        return self.lower == "periodic"

    @property
    def offsets(self) -> tuple[float, float]:
        """o, p."""
        if self.periodic:
            return (0.5, 0.5) if self.centring == "cell" else (0.0, 1.0)
        return _OFFSETS[self.centring]

    @property
    def signs(self) -> tuple[int, int]:
        """s at the lower and the upper wall; 1 on a periodic axis."""
        return (-1 if self.lower == "dirichlet" else 1), (-1 if self.upper == "dirichlet" else 1)

    @property
    def aligned(self) -> Literal["cell", "vertex"]:
        """Whether a nested coarse point lies between two fine ones, or on one."""
        return "cell" if self.offsets[0] == 0.5 else "vertex"

    def intervals(self, n: int) -> int:
        """N for n points."""
        return n - 1 + int(sum(self.offsets))

    def coarse(self, n: int) -> int:
        """Points of the next coarser grid."""
        intervals = self.intervals(n)
        return n - intervals + (intervals + 1) // 2

    def unknowns(self, n: int) -> int:
        """Points whose value is not zero by symmetry: n less the Dirichlet walls among them."""
        ends = zip(self.offsets, self.signs, strict=True)
        return n - sum(offset == 0 and sign < 0 for offset, sign in ends)

    def nested(self, n: int) -> bool:
        """Whether the coarser grid of n points lies on every other point or pair of points."""
        return self.intervals(n) % 2 == 0

    def averages(self, n: int, m: int, device: torch.device, rows: slice = ALL) -> Tensor:
        r"""Means over the cells of m points of a field known at n points: `rows` of (m, n).

        R_ji = |c_j & c_i| / |c_j|, the cell c of a point reaching half-way to its neighbours and
        up to a wall on which it lies or, where the wall is of Neumann type, which is one spacing
        away.  Nested, it is (1/2, 1/2) between points and (1/4, 1/2, 1/4) on them.
        """
        lower, upper = (ends[rows] for ends in self._cells(m, device))
        left, right = self._cells(n, device)
        overlap = _overlap(lower, upper, left, right)
        if self.periodic:
            overlap = overlap + _overlap(lower, upper, left - 1, right - 1)
            overlap = overlap + _overlap(lower, upper, left + 1, right + 1)
        return overlap / (upper - lower)[:, None]

    def interpolation(self, m: int, n: int, device: torch.device, rows: slice = ALL) -> Tensor:
        r"""Piecewise linear interpolation from m points to n, with the walls: `rows` of (n, m)."""
        o, p = self.offsets
        i = torch.arange(n, device=device, dtype=torch.float64)[rows]
        j = torch.arange(m, device=device, dtype=torch.float64)
        y = (i + o) * (self.intervals(m) / self.intervals(n)) - o  # places, in coarse points
        hats = _hat(y[:, None] - j)
        if self.periodic:
            return hats + _hat(y[:, None] - j + m) + _hat(y[:, None] - j - m)
        first, last = (j == 0).to(j), (j == m - 1).to(j)
        hats = hats + _hat(y + 1)[:, None] * first * self._beyond(o, self.lower)
        hats = hats + _hat(y - m)[:, None] * last * self._beyond(p, self.upper)
        for end, offset, sign in zip((first, last), self.offsets, self.signs, strict=True):
            if offset == 0 and sign < 0:  # the value on the wall is zero
                hats = hats * (1 - end)
        return hats

    @staticmethod
    def _beyond(offset: float, wall: Wall) -> float:
        """The value beyond the points over that at the last of them."""
        if wall == "neumann":
            return 1.0
        return -1.0 if offset == 0.5 else 0.0

    def _cells(self, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """(n,) ends of the cells."""
        intervals, (o, p) = self.intervals(n), self.offsets
        i = torch.arange(n, device=device, dtype=torch.float64)
        lower, upper = (i + o - 0.5) / intervals, (i + o + 0.5) / intervals
        if self.periodic:
            return lower, upper
        if o == 1.0 and self.lower == "neumann":
            lower = lower * (i > 0)
        if p == 1.0 and self.upper == "neumann":
            upper = torch.where(i < n - 1, upper, torch.ones_like(upper))
        return lower.clamp(min=0), upper.clamp(max=1)


def _hat(y: Tensor) -> Tensor:
    return (1 - y.abs()).clamp(min=0)


def _overlap(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """|[a_j, b_j] & [c_i, d_i]|, (m, n)."""
    return (torch.minimum(b[:, None], d) - torch.maximum(a[:, None], c)).clamp(min=0)
