r"""Statistics of a data set: streaming, in float64, masked, and the same however it is read.

The values are cut at places that depend on the data alone, at the ends of frames and after every
`PIECE` points within one.  Set k has n_k values of mean m_k and sum of squared deviations S_k, and

    n = sum n_k,   m = sum n_k m_k / n,   S = sum S_k + sum n_k (m_k - m)^2,   std = sqrt(S / n)

joins the sets of one trajectory, and then the trajectories in the order of their numbers.  So the
result is the same to the last bit for any block size and any partition of the trajectories among
workers.  The change of a variable over `stride` frames stands under ``name.increment``.

Where the data set has a geometry variable ``mask`` on the grid of a variable, only points where it
is not 0 count.  A complex component counts as two, real and imaginary part.
Source: Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample
variances, 1979.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError, SchemaError
from sciops.core.schema import Variable
from sciops.core.statistics import Floats, Statistics
from sciops.data.source import Source
from sciops.data.split import Split

Progress = Callable[[int, int], None]

PIECE = 1 << 20  # numbers that are in float64 at one time: 8 MiB
TOGETHER = 512  # sets that are held one by one before they are put into arrays
MASK = "mask"
INCREMENT = ".increment"


@dataclass(frozen=True)
class Sets:
    """Moments of k sets of values of c components: count (k,), the others (k, c)."""

    count: NDArray[np.int64]
    mean: Floats
    squares: Floats
    min: Floats
    max: Floats

    @classmethod
    def stack(cls, several: Sequence[Sets]) -> Sets:
        """The sets of all, in their order."""
        names = ("count", "mean", "squares", "min", "max")
        return cls(*(np.concatenate([getattr(s, n) for s in several]) for n in names))

    def chosen(self, rows: NDArray[np.int64]) -> Sets:
        """The sets of these numbers, in their order."""
        return Sets(
            self.count[rows], self.mean[rows], self.squares[rows], self.min[rows], self.max[rows]
        )

    def joined(self) -> Sets:
        """One set that holds all values; the formula above."""
        n = int(self.count.sum())
        weight = self.count[:, None].astype(np.float64)
        mean = _total(weight * self.mean) / max(n, 1)
        squares = _total(self.squares) + _total(weight * (self.mean - mean) ** 2)
        low = self.min.min(axis=0, initial=np.inf)
        high = self.max.max(axis=0, initial=-np.inf)
        return Sets(np.array([n]), mean[None], squares[None], low[None], high[None])

    def result(self) -> Statistics:
        """The statistics of all values of all sets."""
        one = self.joined()
        n, mean, variance = int(one.count[0]), one.mean[0], one.squares[0] / max(one.count[0], 1)
        if n == 0:
            raise SchemaError("statistics of nothing: there are no samples, or the mask is empty")
        rms = np.sqrt(variance + mean**2)
        return Statistics(n, mean, np.sqrt(variance), rms, one.min[0], one.max[0])


def _total(rows: Floats) -> Floats:
    """Sum over k of (k, c), pairwise."""
    return np.ascontiguousarray(rows.T).sum(axis=1)


def sets_of(
    values: NDArray[Any], valid: NDArray[np.bool_] | None = None, before: NDArray[Any] | None = None
) -> Sets:
    """Moments of each frame (T, P, c), or of its difference to the frames `before`.

    `valid`: (T, P), the points that count.
    """
    frames, points, width = values.shape
    begins = range(0, points, PIECE)
    shape = (frames, len(begins), width)
    count = np.zeros(shape[:2], dtype=np.int64)
    mean, squares = np.zeros(shape), np.zeros(shape)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    step = max(PIECE // max(points, 1), 1)
    for t in range(0, frames, step):
        rows = slice(t, t + step)
        for k, begin in enumerate(begins):
            cut = (rows, slice(begin, begin + PIECE))
            ok = None if valid is None else valid[cut]
            size = values[cut].shape
            count[rows, k] = np.full(size[0], size[1]) if ok is None else ok.sum(axis=1)
            for j in range(width):
                x = np.array(values[(*cut, j)], dtype=np.float64, order="C")
                with np.errstate(invalid="ignore", over="ignore"):  # the caller looks for them
                    if before is not None:
                        x -= before[(*cut, j)]
                    found = _moments_of_rows(x, ok, count[rows, k])
                mean[rows, k, j], squares[rows, k, j], low[rows, k, j], high[rows, k, j] = found
    flat = (frames * len(begins), width)
    return Sets(
        count.reshape(-1),
        mean.reshape(flat),
        squares.reshape(flat),
        low.reshape(flat),
        high.reshape(flat),
    )


def _moments_of_rows(
    x: Floats, ok: NDArray[np.bool_] | None, n: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats, Floats]:
    """(mean, sum of squared deviations, min, max) of each row of (T, P); `x` is overwritten."""
    if ok is None:
        low, high = x.min(axis=1, initial=np.inf), x.max(axis=1, initial=-np.inf)
    else:
        low = np.where(ok, x, np.inf).min(axis=1, initial=np.inf)
        high = np.where(ok, x, -np.inf).max(axis=1, initial=-np.inf)
        x[~ok] = 0.0
    mean = x.sum(axis=1) / np.maximum(n, 1)
    x -= mean[:, None]
    np.square(x, out=x)
    if ok is not None:
        x[~ok] = 0.0
    return mean, x.sum(axis=1), low, high


class Running:
    """Moments of one variable of one trajectory, and of its change, from blocks in their order."""

    def __init__(self, stride: int | None) -> None:
        self.stride = stride  # None: no change is taken
        self.values: list[Sets] = []
        self.changes: list[Sets] = []
        self._last: NDArray[Any] | None = None
        self._last_valid: NDArray[np.bool_] | None = None

    def add(self, values: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> None:
        """Take in the next frames (T, P, c); `valid`: (T, P)."""
        self.values.append(sets_of(values, valid))
        if self.stride is None:
            return
        s = self.stride
        both = values if self._last is None else np.concatenate([self._last, values])
        ok = valid
        if valid is not None and self._last_valid is not None:
            ok = np.concatenate([self._last_valid, valid])
        if len(both) > s:
            pairs = None if ok is None else ok[s:] & ok[:-s]
            self.changes.append(sets_of(both[s:], pairs, both[:-s]))
        self._last = both[-s:].copy()
        self._last_valid = None if ok is None else ok[-s:].copy()

    def joined(self) -> tuple[Sets, Sets | None]:
        """(values, change) as one set each; None where no two frames are a stride apart."""
        values = Sets.stack(self.values).joined()
        return values, Sets.stack(self.changes).joined() if self.changes else None


def frames_of(values: NDArray[Any], v: Variable) -> NDArray[Any]:
    """([T,] *N, *components) -> (T, P, c); complex numbers become pairs."""
    values = np.asarray(values)
    frames = len(values) if v.time_varying else 1
    if values.dtype.kind == "c":
        values = np.stack([values.real, values.imag], axis=-1)
        return values.reshape(frames, -1, 2 * v.width)
    return values.reshape(frames, -1, v.width)


def mask_for(source: Source, v: Variable) -> Variable | None:
    """The geometry variable ``mask``, where it lies on the grid of `v` (and is not `v` itself)."""
    for m in source.schema.variables:
        if m.name == MASK and m.role == "geometry" and m.rank == 0 and v.name != MASK:
            fits = m.domain == v.domain and (v.time_varying or not m.time_varying)
            return m if fits else None
    return None


def valid_points(
    source: Source, mask: Variable | None, sample: int, frames: slice
) -> NDArray[np.bool_] | None:
    """(T, P) where the mask of these frames is not 0; None where there is no mask."""
    if mask is None:
        return None
    where = np.asarray(source.read(mask.name, sample, frames)) != 0
    if mask.time_varying:
        return where.reshape(len(where), -1)
    rows = frames.stop - frames.start
    return np.broadcast_to(where.reshape(1, -1), (rows, where.size))


@dataclass
class Collected:
    """Moments of every trajectory that was read; several of them merge to one."""

    samples: list[int] = field(default_factory=list)
    sets: dict[str, list[Sets]] = field(default_factory=dict)  # name -> one set a sample

    def put(self, name: str, one: Sets) -> None:
        """Take in the moments of one sample."""
        rows = self.sets.setdefault(name, [])
        rows.append(one)
        if len(rows) > TOGETHER:
            rows[:] = [Sets.stack(rows)]

    @classmethod
    def merged(cls, several: Sequence[Collected]) -> Collected:
        """All of them, whoever read which trajectory."""
        out = cls([s for one in several for s in one.samples])
        for one in several:
            for name, rows in one.sets.items():
                out.sets.setdefault(name, []).extend(rows)
        return out

    def result(self, samples: Sequence[int] | None = None) -> dict[str, Statistics]:
        """Statistics over these trajectories (None: all that were read)."""
        place = {s: k for k, s in enumerate(self.samples)}
        wanted = sorted(place if samples is None else set(samples))
        missing = [s for s in wanted if s not in place]
        if missing or len(place) < len(self.samples):
            raise SchemaError(f"samples {missing[:5]} were not read, or some were read twice")
        order = np.array([place[s] for s in wanted], dtype=np.int64)
        found = {}
        for name, rows in self.sets.items():
            chosen = Sets.stack(rows).chosen(order)
            if chosen.count.any():
                found[name] = chosen.result()
        return found


def collect(
    source: Source,
    samples: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    stride: int = 1,
    progress: Progress | None = None,
) -> Collected:
    """Read trajectories once and take their moments.

    Parameters
    ----------
    source
        The data set.
    samples
        Numbers of the trajectories; None for all.
    names
        Variables and parameters; None for all.
    stride
        Frames between the two whose difference counts as change.
    progress
        Called with (trajectories done, trajectories).

    Raises
    ------
    DataError
        If a value that counts is NaN or infinite.
    """
    chosen = list(range(source.n_samples) if samples is None else samples)
    variables = [v for v in source.schema.variables if names is None or v.name in names]
    fields = [v for v in variables if v.role != "param"]
    out = Collected()
    known: dict[str, Sets] = {}
    for done, sample in enumerate(chosen):
        for v in fields:
            if v.name not in known:
                values, change = _moments(source, v, sample, stride)
                out.put(v.name, values)
                if v.time_varying:
                    out.put(v.name + INCREMENT, change if change is not None else _none(values))
                if source.shared(v.name) and mask_for(source, v) is None:
                    known[v.name] = values
            else:
                out.put(v.name, known[v.name])
        for v, value in zip(source.schema.params, source.params(sample), strict=True):
            if names is None or v.name in names:
                _require_finite(np.array([[[value]]]), None, source, v, sample, 0)
                out.put(v.name, of_number(value))
        out.samples.append(sample)
        if progress is not None:
            progress(done + 1, len(chosen))
    return out


def _moments(source: Source, v: Variable, sample: int, stride: int) -> tuple[Sets, Sets | None]:
    running = Running(stride if v.time_varying else None)
    mask = mask_for(source, v)
    for frames, block in source.blocks(v.name, sample):
        values = frames_of(block, v)
        valid = valid_points(source, mask, sample, frames)
        running.add(values, valid)
        if not np.isfinite(running.values[-1].squares).all():
            _require_finite(values, valid, source, v, sample, frames.start)
    return running.joined()


def of_number(value: float) -> Sets:
    """The set of one number."""
    one = np.array([[value]], dtype=np.float64)
    return Sets(np.array([1]), one, np.zeros_like(one), one, one)


def _none(like: Sets) -> Sets:
    """A set without values."""
    zero = np.zeros_like(like.mean)
    return Sets(np.array([0]), zero, zero, zero + np.inf, zero - np.inf)


def _require_finite(
    values: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    source: Source,
    v: Variable,
    sample: int,
    begin: int,
) -> None:
    wrong = ~np.isfinite(values).all(axis=2)
    if valid is not None:
        wrong &= valid
    if wrong.any():
        t, p = (int(k) for k in np.argwhere(wrong)[0])
        raise DataError(
            source.schema.name,
            f"{v.name!r} holds {int(wrong.sum())} NaN or infinite values in sample {sample}, the "
            f"first in frame {begin + t} at point {p}; repair the data, or leave the sample out",
        )


def statistics(
    source: Source,
    samples: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    stride: int = 1,
    progress: Progress | None = None,
) -> dict[str, Statistics]:
    """Statistics per variable and component of some trajectories; see `collect`."""
    return collect(source, samples, names, stride, progress).result()


def by_part(
    source: Source, split: Split, stride: int = 1, progress: Progress | None = None
) -> dict[str, dict[str, Statistics]]:
    """Part of the split -> variable -> statistics; every trajectory is read once."""
    used = sorted(i for ids in split.parts.values() for i in ids)
    if used[-1] >= source.n_samples:
        raise SchemaError(
            f"the split names sample {used[-1]}, the data set has {source.n_samples} samples"
        )
    found = collect(source, used, None, stride, progress)
    return {name: found.result(ids) for name, ids in split.parts.items()}


@dataclass(frozen=True)
class Shift:
    """How one component of one variable differs between two data sets a and b.

    `shift` = (mean_b - mean_a) / std_a, `ratio` = std_b / std_a, and how far the values of b lie
    below and above those of a, in std_a.  Where a is constant the divisor is 1.
    """

    name: str
    component: int
    shift: float
    ratio: float
    below: float
    above: float

    @property
    def largest(self) -> float:
        """The largest difference, in std_a."""
        return max(abs(self.shift), abs(self.ratio - 1.0), self.below, self.above)


def compare(a: Mapping[str, Statistics], b: Mapping[str, Statistics]) -> list[Shift]:
    """Every component of every variable that both have, those of `a` first to last.

    Raises
    ------
    SchemaError
        If a variable has another number of components, or they have no variable in common.
    """
    both = [k for k in a if k in b]
    if not both:
        raise SchemaError(f"no common variables: {sorted(a)} and {sorted(b)}")
    out = []
    for name in both:
        x, y = a[name], b[name]
        if x.mean.shape != y.mean.shape:
            raise SchemaError(
                f"{name!r} has {len(x.mean)} components in one and {len(y.mean)} in the other"
            )
        scale = x.scale
        std = np.where(x.std == scale, y.std, y.std + 1.0)  # constant in a: 1 + std_b, over 1
        for j in range(len(x.mean)):
            out.append(
                Shift(
                    name,
                    j,
                    float((y.mean[j] - x.mean[j]) / scale[j]),
                    float(std[j] / scale[j]),
                    float(max(x.min[j] - y.min[j], 0.0) / scale[j]),
                    float(max(y.max[j] - x.max[j], 0.0) / scale[j]),
                )
            )
    return out
