r"""The same fields at fewer times, on a part of the domain, or at another resolution.

    Frames(source, slice(a, b, s))     frames a, a + s, .. below b
    Resampled(source, {"x": rule})     one rule an axis, the tensor product over axes

    Stride(s)        q'_j = q_{j s}
    Crop(a, b)       the points with a <= x_i <= b
    Average(n)       q'_j = sum_i R_ji q_i,   R_ji = |cell_i and cell'_j| / |cell'_j|
    Spectral(n)      q'_j = sum_{|k| <= m} c_k exp(2 pi i k (x'_j - x_0) / L),   m = min(n, N) // 2
    Resolution(n, method)   n points by one of stride, average, spectral

With cell_i the interval of width w_i that the point x_i stands for (`Axis.widths`), averages keep
the integral: sum_j w'_j q'_j = sum_i w_i q_i.  The spectral rule is exact for fields of the modes
|k| <= m; the mode N/2 of an even number of points, of which only the cosine is known, counts half
for +N/2 and half for -N/2.  Integers and booleans stay what they are where points are picked, and
become float64 where they are averaged or transformed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Location, Points, Schema, Side, Variable
from sciops.data.source import BLOCK, Derived, Source

Method = Literal["stride", "average", "spectral"]
METHODS: tuple[Method, ...] = get_args(Method)
SLACK = 1e-9  # of the domain: a point at the end of a crop belongs to it


class Frames(Derived):
    """Some frames of every trajectory, as a Python slice with a positive step picks them."""

    def __init__(self, under: Source, frames: slice) -> None:
        super().__init__(under)
        if (frames.step or 1) < 1:
            raise SchemaError(f"the stride of frames must be at least 1, got {frames.step}")
        if not any(v.time_varying for v in under.schema.variables):
            raise SchemaError("nothing evolves in this data set: it has no frames to choose from")
        self.frames = frames
        self.lengths = np.array([len(self._of(s)) for s in range(under.n_samples)], dtype=np.int64)
        if not self.lengths.all():
            short = int(np.argmin(self.lengths))
            raise SchemaError(
                f"no frame of sample {short} is left: it has {under.lengths[short]}, and "
                f"{_text(frames)} was asked for"
            )
        step = frames.step or 1
        dt = under.schema.dt
        self.schema = replace(under.schema, dt=None if dt is None else dt * step)
        self.notes = (*under.notes, f"frames {_text(frames)} of every trajectory")

    def _of(self, sample: int) -> range:
        return range(int(self.under.lengths[sample]))[self.frames]

    def times(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return self.under.times(sample)[self.frames]

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        if not self.schema[name].time_varying:
            return self.under.read(name, sample)
        chosen = self._of(sample)[frames]
        return self.under.read(name, sample, slice(chosen.start, chosen.stop, chosen.step))

    def settings(self) -> Any:
        """See `Derived`."""
        return [self.frames.start, self.frames.stop, self.frames.step]


def _text(frames: slice) -> str:
    parts = ["" if k is None else str(k) for k in (frames.start, frames.stop)]
    return ":".join([*parts, *([] if frames.step is None else [str(frames.step)])])


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


class Resampled(Derived):
    """The fields of a source after one rule an axis; fields without that axis stay as they are."""

    def __init__(self, under: Source, rules: Mapping[str, Rule]) -> None:
        super().__init__(under)
        self.rules = dict(rules)
        schema = under.schema
        on_points = [v.name for v in schema.variables if isinstance(v.domain, Points)]
        cropped = [name for name, rule in rules.items() if isinstance(rule, Crop)]
        on_grids = any(isinstance(v.domain, Grid) for v in schema.variables)
        if on_points and (cropped or not on_grids):
            raise SchemaError(
                f"{', '.join(on_points)} lie on points without order, which have no axes to "
                f"resample or crop"
            )
        lost = {(name, s) for name, rule in rules.items() for s in rule.cut(schema.axis(name))}
        self.schema = replace(
            schema,
            variables=tuple(self._variable(v) for v in schema.variables),
            boundary=tuple(b for b in schema.boundary if (b.axis, b.side) not in lost),
        )
        self.notes = (*under.notes, *_changes(schema, self.schema, self.rules))

    def _variable(self, v: Variable) -> Variable:
        if not isinstance(v.domain, Grid):
            return v
        places = {
            self.rules[a.name].location(v.location, a) if a.name in self.rules else v.location
            for a in v.domain.axes
        }
        location = places.pop() if len(places) == 1 else None
        axes = (self.rules[a.name].axis(a) if a.name in self.rules else a for a in v.domain.axes)
        return replace(v, domain=Grid(tuple(axes)), location=location)

    def _touches(self, v: Variable) -> bool:
        return v.domain is not None and bool(set(v.domain.names) & set(self.rules))

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        v = self.under.schema[name]
        if not self._touches(v):
            return self.under.read(name, sample, frames)
        if not v.time_varying:
            return self._changed(v, self.under.read(name, sample))
        assert v.domain is not None
        one = int(np.prod(v.domain.shape)) * v.width * self.under.dtype(name).itemsize
        step = max(BLOCK // max(one, 1), 1)
        wanted = range(int(self.lengths[sample]))[frames]
        parts = []
        for begin in range(0, max(len(wanted), 1), step):
            few = wanted[begin : begin + step]
            values = self.under.read(name, sample, slice(few.start, few.stop, few.step))
            parts.append(self._changed(v, values))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _changed(self, v: Variable, values: NDArray[Any]) -> NDArray[Any]:
        """([T,] *N, *components) -> ([T,] *N', *components)."""
        assert isinstance(v.domain, Grid)
        new = self.schema[v.name].domain
        assert new is not None
        lead = 1 if v.time_varying else 0
        shape = (*values.shape[:lead], *new.shape, *v.components)
        for k, axis in enumerate(v.domain.axes, start=lead):
            rule = self.rules.get(axis.name)
            if rule is not None and axis.name in v.constant_along:
                values = values.take([0], k)
            elif rule is not None:
                values = rule.values(values, k, axis)
        return np.broadcast_to(values.astype(self.dtype(v.name), copy=False), shape)

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        kind = self.under.dtype(name)
        v = self.under.schema[name]
        if kind.kind in "fc" or not isinstance(v.domain, Grid):
            return kind
        used = [
            rule.rule(a) if isinstance(rule, Resolution) else rule
            for a in v.domain.axes
            if (rule := self.rules.get(a.name)) is not None and a.name not in v.constant_along
        ]
        return kind if all(rule.picks for rule in used) else np.dtype(np.float64)

    def settings(self) -> Any:
        """See `Derived`."""
        return {name: [type(r).__name__, dict(vars(r))] for name, r in self.rules.items()}


def subsample(
    source: Source,
    frames: slice | None = None,
    crop: Mapping[str, tuple[float | None, float | None]] | None = None,
    stride: Mapping[str, int] | None = None,
    resolution: Mapping[str, int] | None = None,
    method: Method = "average",
) -> Source:
    """Fewer frames, then a part of the domain, then fewer points, then another resolution.

    Parameters
    ----------
    source
        The data set.
    frames
        As a Python slice picks them.
    crop
        Axis -> (lower, upper) positions, both included; None for the end of the domain.
    stride
        Axis -> every how many-th point.
    resolution, method
        Axis -> number of points, and how they are found; see the module.

    Raises
    ------
    SchemaError
        If a rule does not fit an axis, or nothing is left.
    NotFound
        If there is no such axis.
    """
    if frames is not None:
        source = Frames(source, frames)
    for rules in (
        {k: Crop(*ends) for k, ends in (crop or {}).items()},
        {k: Stride(step) for k, step in (stride or {}).items()},
        {k: Resolution(n, method) for k, n in (resolution or {}).items()},
    ):
        if rules:
            source = Resampled(source, rules)
    return source


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


def _changes(old: Schema, new: Schema, rules: Mapping[str, Rule]) -> list[str]:
    """What was done, for people: a line an axis, and what it did to boundary and location."""
    lines = []
    for name, rule in rules.items():
        before, after = old.axis(name), new.axis(name)
        lines.append(f"axis {name}: {before.size} points became {after.size} ({_how(rule, after)})")
        sides = rule.cut(before)
        if sides:
            ends = " and ".join(sides)
            lines.append(f"axis {name}: cut at its {ends} end, where the boundary is unknown now")
    unlocated = [
        v.name for v in old.variables if v.location == "cell" and new[v.name].location is None
    ]
    if unlocated:
        names = ", ".join(unlocated)
        lines.append(f"location of {names}: cell became unknown, since cells were left out")
    return lines


def _how(rule: Rule, after: Axis) -> str:
    if isinstance(rule, Stride):
        return f"stride {rule.step}"
    if isinstance(rule, Crop):
        return f"cropped to [{after.lower:g}, {after.upper:g}]"
    method = rule.method if isinstance(rule, Resolution) else type(rule).__name__.lower()
    words = {"stride": "points picked", "average": "averages over cells"}
    return words.get(method, "trigonometric interpolation")
