r"""What can be done along one axis: pick points, cut, average, transform.

    Stride(s)        q'_j = q_{j s}
    Crop(a, b)       the points with a <= x_i <= b
    Average(n)       q'_j = sum_i R_ji q_i,   R_ji = |cell_i and cell'_j| / |cell'_j|
    Spectral(n)      q'_j = sum_{|k| <= m} c_k exp(2 pi i k (x'_j - x_0) / L),   m = min(n, N) // 2
    Resolution(n, method)   n points by one of stride, average, spectral

With cell_i the interval of width w_i that the point x_i stands for (`Axis.widths`), averages keep
the integral: sum_j w'_j q'_j = sum_i w_i q_i.  The spectral rule is exact for fields of the modes
|k| <= m; the mode N/2 of an even number of points, of which only the cosine is known, counts half
for +N/2 and half for -N/2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Location, Side

Method = Literal["stride", "average", "spectral"]
METHODS: tuple[Method, ...] = get_args(Method)
SLACK = 1e-9  # of the domain: a point at the end of a crop belongs to it


class Rule(ABC):
    """What is done along one axis.

    Attributes
    ----------
    picks
        Whether values are picked, so that their type stays.
    """

    picks: ClassVar[bool] = True

    @abstractmethod
    def axis(self, axis: Axis) -> Axis:
        """The axis afterwards; SchemaError where the rule does not fit it."""

    @abstractmethod
    def values(self, values: NDArray[Any], k: int, axis: Axis) -> NDArray[Any]:
        """The values afterwards; `axis` is that of the array's axis `k` before."""

    def cut(self, axis: Axis) -> tuple[Side, ...]:
        """Sides at which the domain does not end any more where it did."""
        return ()

    def location(self, location: Location | None, axis: Axis) -> Location | None:
        """Where the values lie afterwards."""
        return location


@dataclass(frozen=True)
class Stride(Rule):
    """Every `step`-th point, from the first on; a value of a cell becomes one of a point."""

    step: int

    def axis(self, axis: Axis) -> Axis:
        """See `Rule`."""
        if self.step < 1:
            raise SchemaError(f"axis {axis.name!r}: the stride must be at least 1, got {self.step}")
        if self.step == 1:
            return axis
        points = axis.coordinates[:: self.step]
        if not axis.periodic:
            return replace(axis, coordinates=points)
        if axis.size % self.step:
            raise SchemaError(
                f"axis {axis.name!r} is periodic: a stride must divide its {axis.size} points, "
                f"got {self.step}"
            )
        begin = float(points[0]) if axis.spacing == "cell" else axis.lower
        return replace(axis, coordinates=points, lower=begin, upper=begin + axis.length)

    def values(self, values: NDArray[Any], k: int, axis: Axis) -> NDArray[Any]:
        """See `Rule`."""
        return values[(*[slice(None)] * k, slice(None, None, self.step))]

    def location(self, location: Location | None, axis: Axis) -> Location | None:
        """See `Rule`."""
        return None if self.step > 1 and location == "cell" else location


@dataclass(frozen=True)
class Crop(Rule):
    """The points between two positions, both included; None for the end of the domain.

    Points inside the domain (cell centres) take their cells with them; where points stand at its
    ends, the new domain ends in its outermost points.  A side that is cut is no boundary of the
    problem any more, and what was periodic is not.
    """

    lower: float | None = None
    upper: float | None = None

    def axis(self, axis: Axis) -> Axis:
        """See `Rule`."""
        begin, end = self._range(axis)
        if end - begin < 2:
            x = axis.coordinates
            raise SchemaError(
                f"axis {axis.name!r}: {end - begin} of its {axis.size} points lie in "
                f"[{self._end(self.lower)}, {self._end(self.upper)}], at least 2 are needed; they "
                f"reach from {x[0]:g} to {x[-1]:g}"
            )
        cut = self.cut(axis)
        if not cut:
            return axis
        x = axis.coordinates[begin:end]
        inside = axis.lower < axis.coordinates[0] and axis.upper > axis.coordinates[-1]
        walls = faces(axis)
        low, high = (walls[begin], walls[end]) if inside else (x[0], x[-1])
        periodic = None if axis.periodic is None else False
        return replace(
            axis,
            coordinates=x,
            lower=low if "lower" in cut else axis.lower,
            upper=high if "upper" in cut else axis.upper,
            periodic=periodic,
        )

    def values(self, values: NDArray[Any], k: int, axis: Axis) -> NDArray[Any]:
        """See `Rule`."""
        return values[(*[slice(None)] * k, slice(*self._range(axis)))]

    def cut(self, axis: Axis) -> tuple[Side, ...]:
        """See `Rule`."""
        begin, end = self._range(axis)
        if axis.periodic and (begin, end) != (0, axis.size):
            return ("lower", "upper")
        sides: tuple[Side, ...] = ("lower",) if begin > 0 else ()
        return (*sides, "upper") if end < axis.size else sides

    def _range(self, axis: Axis) -> tuple[int, int]:
        slack = SLACK * axis.length
        x = axis.coordinates
        begin = 0 if self.lower is None else int(np.searchsorted(x, self.lower - slack))
        end = axis.size if self.upper is None else int(np.searchsorted(x, self.upper + slack))
        return begin, max(end, begin)

    @staticmethod
    def _end(value: float | None) -> str:
        return ".." if value is None else f"{value:g}"


@dataclass(frozen=True)
class Average(Rule):
    """Means over n cells: of equal width on a uniform axis, of equally many points on a graded."""

    n: int
    picks: ClassVar[bool] = False

    def axis(self, axis: Axis) -> Axis:
        """See `Rule`."""
        if not 1 <= self.n <= axis.size:
            raise SchemaError(
                f"axis {axis.name!r}: averages can give 1 .. {axis.size} cells, asked for {self.n}"
            )
        if self.n == axis.size:
            return axis
        walls = faces(axis)
        ends = float(walls[0]), float(walls[-1])
        if axis.spacing != "graded":
            return Axis.uniform(axis.name, self.n, *ends, "cell", axis.periodic, axis.unit)
        places = np.linspace(0.0, axis.size, self.n + 1)
        coarse = np.interp(places, np.arange(axis.size + 1), walls)
        centres = (coarse[1:] + coarse[:-1]) / 2
        return Axis(axis.name, centres, *ends, axis.periodic, axis.unit)

    def values(self, values: NDArray[Any], k: int, axis: Axis) -> NDArray[Any]:
        """See `Rule`."""
        if self.n == axis.size:
            return values
        wide = np.moveaxis(values, k, 0).astype(np.result_type(values, np.float64))
        means = self.matrix(axis) @ wide.reshape(axis.size, -1)  # (n, N) (N, rest)
        return np.moveaxis(means.reshape(self.n, *wide.shape[1:]), 0, k)

    def matrix(self, axis: Axis) -> Any:
        """R (n, N), sparse; its rows add up to one."""
        if axis.spacing in ("cell", "periodic"):  # equal cells: whole numbers, no rounding
            return overlap(
                np.arange(axis.size + 1.0) * self.n, np.arange(self.n + 1.0) * axis.size, 0.0
            )
        return overlap(faces(axis), faces(self.axis(axis)), axis.length if axis.periodic else 0.0)

    def location(self, location: Location | None, axis: Axis) -> Location | None:
        """See `Rule`."""
        return location if self.n == axis.size else "cell"


@dataclass(frozen=True)
class Spectral(Rule):
    """n points of the trigonometric polynomial through the points of a periodic axis."""

    n: int
    picks: ClassVar[bool] = False

    def axis(self, axis: Axis) -> Axis:
        """See `Rule`."""
        if not axis.periodic or axis.spacing not in ("periodic", "cell"):
            known = "unknown" if axis.periodic is None else "not periodic"
            why = known if not axis.periodic else f"of {axis.spacing} points"
            raise SchemaError(
                f"axis {axis.name!r} is {why}: the spectral rule needs equidistant points of a "
                f"periodic axis; use stride or average, or, where the axis is periodic, say so "
                f"first: sciops data repair --boundary {axis.name}=periodic"
            )
        if self.n < 1:
            raise SchemaError(f"axis {axis.name!r}: at least 1 point is needed, got {self.n}")
        if self.n == axis.size:
            return axis
        return Axis.uniform(
            axis.name, self.n, axis.lower, axis.upper, axis.spacing, True, axis.unit
        )

    def values(self, values: NDArray[Any], k: int, axis: Axis) -> NDArray[Any]:
        """See `Rule`."""
        n, size = self.n, axis.size
        if n == size:
            return values
        wide = np.moveaxis(values, k, -1).astype(np.result_type(values, np.float64))
        m = min(n, size) // 2
        modes = np.arange(-m, m + 1)
        c = np.fft.fft(wide)[..., modes % size] / size  # (.., 2 m + 1)
        if 2 * m == size:
            c[..., 0] /= 2
            c[..., -1] /= 2
        if axis.spacing == "cell":  # both first points lie half a cell inside
            c = c * np.exp(2j * np.pi * modes * (0.5 / n - 0.5 / size))
        folded = np.zeros((*c.shape[:-1], n), dtype=c.dtype)
        folded[..., modes[:-1] % n] = c[..., :-1]
        folded[..., m % n] += c[..., -1]  # where n = 2 m, both ends are one mode
        fine = np.fft.ifft(folded) * n
        return np.moveaxis(fine if np.iscomplexobj(values) else fine.real, -1, k)


@dataclass(frozen=True)
class Resolution(Rule):
    """n points by a method; an axis that has them already stays as it is."""

    n: int
    method: Method
    picks: ClassVar[bool] = False

    def rule(self, axis: Axis) -> Rule:
        """The rule for that axis."""
        if self.method not in METHODS:
            raise SchemaError(f"the method must be one of {', '.join(METHODS)}, got {self.method}")
        if self.n == axis.size:
            return Stride(1)
        if self.method == "average":
            return Average(self.n)
        if self.method == "spectral":
            return Spectral(self.n)
        for points, wanted in ((axis.size, self.n), (axis.size - 1, self.n - 1)):
            both_ends = points < axis.size
            fits = wanted > 0 and points % wanted == 0 and points > wanted
            if fits and (not both_ends or axis.spacing == "node"):
                return Stride(points // wanted)
        raise SchemaError(
            f"axis {axis.name!r}: no stride picks {self.n} of its {axis.size} points evenly; use "
            f"the method average{' or spectral' if axis.periodic else ''}"
        )

    def axis(self, axis: Axis) -> Axis:
        """See `Rule`."""
        return self.rule(axis).axis(axis)

    def values(self, values: NDArray[Any], k: int, axis: Axis) -> NDArray[Any]:
        """See `Rule`."""
        return self.rule(axis).values(values, k, axis)

    def location(self, location: Location | None, axis: Axis) -> Location | None:
        """See `Rule`."""
        return self.rule(axis).location(location, axis)


def faces(axis: Axis) -> NDArray[np.float64]:
    """(n + 1,) ends of the intervals that the points stand for; `Axis.widths` apart."""
    x = axis.coordinates
    middle = (x[1:] + x[:-1]) / 2
    if axis.periodic:
        first = (x[0] + x[-1] - axis.length) / 2
        return np.concatenate([[first], middle, [first + axis.length]])
    return np.concatenate([[axis.lower], middle, [axis.upper]])


def overlap(fine: NDArray[np.float64], coarse: NDArray[np.float64], period: float) -> Any:
    """R (n, N), sparse: which share of each coarse interval lies in each fine one.

    `fine` (N + 1,) and `coarse` (n + 1,) are the ends of intervals that cover the same length;
    with a `period` > 0 they may begin at different places.
    """
    from scipy.sparse import coo_array

    shifts = (-period, 0.0, period) if period else (0.0,)
    ends = np.unique(np.concatenate([coarse, *(fine + s for s in shifts)]))
    ends = ends[(ends >= coarse[0]) & (ends <= coarse[-1])]
    middle, length = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    j = np.searchsorted(coarse, middle) - 1
    wrapped = fine[0] + np.mod(middle - fine[0], period) if period else middle
    i = np.clip(np.searchsorted(fine, wrapped) - 1, 0, len(fine) - 2)
    shape = (len(coarse) - 1, len(fine) - 1)
    return coo_array((length / np.diff(coarse)[j], (j, i)), shape=shape).tocsr()
