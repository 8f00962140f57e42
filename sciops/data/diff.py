r"""What differs between two data sets, of whatever formats.

Two values are equal where |a - b| <= atol + rtol |b|, or both are NaN.  Samples are compared in
their order, fields by the names of variables and axes: an array stored (x, y) equals one stored
(y, x).  Both are read in blocks; memory does not grow with the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.data.source import Source
from sciops.data.split import Split

Progress = Callable[[int, int], None]
Kind = Literal["schema", "samples", "field", "parameter", "time", "split"]


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    `numbers` of a field: ``max_abs`` = max |a - b|, ``max_rel`` = max |a - b| / |b| over b != 0,
    and ``count`` of the values that are not equal.
    """

    kind: Kind
    where: str
    message: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """All differences, and what was not counted as one."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "same": self.same,
            "differences": [asdict(d) for d in self.differences],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Tolerance:
    """Values are equal where |a - b| <= atol + rtol |b|."""

    atol: float = 0.0
    rtol: float = 0.0

    def unequal(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
        """Where two arrays of one shape are not equal."""
        if a.dtype.kind not in "fc" and b.dtype.kind not in "fc" and not self.atol + self.rtol:
            return np.asarray(a != b)
        return ~np.isclose(a, b, rtol=self.rtol, atol=self.atol, equal_nan=True)


def diff(
    a: Source,
    b: Source,
    atol: float = 0.0,
    rtol: float = 0.0,
    splits: tuple[Split | None, Split | None] = (None, None),
    progress: Progress | None = None,
) -> Compared:
    """Compare two data sets.

    Parameters
    ----------
    a, b
        The data sets; differences are told as of `a` against `b`.
    atol, rtol
        Tolerance of fields, parameters, coordinates and times; 0 and 0 for equal numbers.
    splits
        The splits beside them, where there are any.
    progress
        Called with (samples done, samples).
    """
    near = Tolerance(atol, rtol)
    found = _schema(a.schema, b.schema, near)
    notes = [
        f"{v.name} is {a.dtype(v.name)} and {b.dtype(v.name)}"
        for v in _both(a.schema, b.schema)
        if v.role != "param" and a.dtype(v.name) != b.dtype(v.name)
    ]
    n = min(a.n_samples, b.n_samples)
    if a.n_samples != b.n_samples:
        found.append(
            Difference("samples", "samples", f"{a.n_samples} and {b.n_samples}; {n} are compared")
        )
    found += _times_and_parameters(a, b, n, near)
    for done, v in enumerate(comparable := _comparable(a.schema, b.schema)):
        for sample in range(n):
            if progress is not None:
                progress(done * n + sample + 1, len(comparable) * n)
            if a.lengths[sample] != b.lengths[sample] and v.time_varying:
                continue  # told by _times_and_parameters
            difference = _field(a, b, v, sample, near)
            if difference is not None:
                found.append(difference)
    found += _splits(a, b, n, *splits)
    return Compared(tuple(_gathered(found)), tuple(notes))


def _both(a: Schema, b: Schema) -> list[Variable]:
    names = {(v.name, v.role == "param") for v in b.variables}
    return [v for v in a.variables if (v.name, v.role == "param") in names]


def _schema(a: Schema, b: Schema, near: Tolerance) -> list[Difference]:
    out = []
    for first, second, side in ((a, b, "first"), (b, a, "second")):
        names = {(v.name, v.role == "param") for v in second.variables}
        for v in first.variables:
            if (v.name, v.role == "param") not in names:
                out.append(Difference("schema", v.name, f"only the {side} has this variable"))
    for v in _both(a, b):
        w = b[v.name]
        for name in ("role", "unit", "components", "symmetry", "location", "time_varying"):
            x, y = getattr(v, name), getattr(w, name)
            if x != y:
                out.append(Difference("schema", v.name, f"{name} is {x} and {y}"))
        out += _domains(v, w, near)
    if sorted(a.boundary, key=repr) != sorted(b.boundary, key=repr):
        only = [str(c) for c in a.boundary if c not in b.boundary]
        other = [str(c) for c in b.boundary if c not in a.boundary]
        message = (
            f"only in the first: {only or 'nothing'}; only in the second: {other or 'nothing'}"
        )
        out.append(Difference("schema", "boundary", message))
    if a.time_unit != b.time_unit:
        out.append(Difference("schema", "time", f"its unit is {a.time_unit} and {b.time_unit}"))
    return out


def _domains(v: Variable, w: Variable, near: Tolerance) -> list[Difference]:
    x, y = v.domain, w.domain
    if x is None or y is None or x == y:
        return []
    if isinstance(x, Grid) and isinstance(y, Grid) and set(x.names) == set(y.names):
        others = {axis.name: axis for axis in y.axes}
        return [d for axis in x.axes for d in _axes(v.name, axis, others[axis.name], near)]
    if isinstance(x, Points) and isinstance(y, Points) and x.shape == y.shape:
        off = near.unequal(x.coordinates, y.coordinates).any(axis=1)
        if off.any():
            return [Difference("schema", v.name, f"{int(off.sum())} points lie elsewhere")]
        return []
    names = f"{x.names} {x.shape} and {y.names} {y.shape}"
    return [Difference("schema", v.name, f"it lies on different grids: {names}")]


def _axes(name: str, a: Axis, b: Axis, near: Tolerance) -> list[Difference]:
    where = f"{name}, axis {a.name}"
    if a.size != b.size:
        return [Difference("schema", where, f"{a.size} and {b.size} points")]
    ends = np.array([[a.lower, a.upper], [b.lower, b.upper]])
    out = []
    if near.unequal(a.coordinates, b.coordinates).any():
        worst = float(np.abs(a.coordinates - b.coordinates).max())
        out.append(Difference("schema", where, f"positions differ by {worst:.3g}"))
    if near.unequal(ends[0], ends[1]).any():
        out.append(Difference("schema", where, f"it ends at {ends[0]} and {ends[1]}"))
    for what in ("periodic", "unit"):
        x, y = getattr(a, what), getattr(b, what)
        if x != y:
            out.append(Difference("schema", where, f"{what} is {x} and {y}"))
    return out


def _comparable(a: Schema, b: Schema) -> list[Variable]:
    """Variables whose values have one shape up to the order of the axes."""
    out = []
    for v in _both(a, b):
        w = b[v.name]
        if v.domain is None or w.domain is None:
            continue
        sizes = [dict(zip(d.names, d.shape, strict=True)) for d in (v.domain, w.domain)]
        if sizes[0] == sizes[1] and (v.components, v.time_varying) == (
            w.components,
            w.time_varying,
        ):
            out.append(v)
    return out


def _field(a: Source, b: Source, v: Variable, sample: int, near: Tolerance) -> Difference | None:
    """The largest difference of one variable of one sample, None where it is equal."""
    assert v.domain is not None
    other = b.schema[v.name].domain
    assert other is not None
    lead = 1 if v.time_varying else 0
    order = [*range(lead), *(lead + other.names.index(name) for name in v.domain.names)]
    order += range(len(order), len(order) + v.rank)
    count, worst, relative, place = 0, -1.0, 0.0, ""
    for frames, x in a.blocks(v.name, sample):
        y = b.read(v.name, sample, frames).transpose(order)
        unequal = near.unequal(x, y)
        if not unequal.any():
            continue
        count += int(unequal.sum())
        with np.errstate(invalid="ignore", over="ignore"):
            kind = np.result_type(x, y, np.float64)
            p, q = x[unequal].astype(kind), y[unequal].astype(kind)
            off = np.abs(p - q)
        off = np.where(np.isnan(off), np.inf, off)  # NaN or infinity in one of them
        size = np.abs(q)
        known = (size > 0) & np.isfinite(off) & np.isfinite(size)
        relative = max(relative, float(np.max(off[known] / size[known], initial=0.0)))
        k = int(np.argmax(off))
        if off[k] > worst:
            worst = float(off[k])
            index = [int(i) for i in np.argwhere(unequal)[k]]
            if v.time_varying:
                index[0] += frames.start
            place = _place(v, index)
    if not count:
        return None
    numbers = {"max_abs": worst, "max_rel": relative, "count": float(count)}
    return Difference("field", v.name, f"sample {sample}, {place}", numbers)


def _place(v: Variable, index: list[int]) -> str:
    assert v.domain is not None
    names = [*(["frame"] if v.time_varying else []), *v.domain.names]
    names += ["component", "component2"][: v.rank]
    return ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=True))


def _gathered(found: list[Difference]) -> list[Difference]:
    """One entry a variable: the worst sample, and how many differ."""
    fields: dict[str, list[Difference]] = {}
    for d in found:
        if d.kind == "field":
            fields.setdefault(d.where, []).append(d)
    out = [d for d in found if d.kind != "field"]
    for name, several in fields.items():
        worst = max(several, key=lambda d: d.numbers["max_abs"])
        numbers = {
            "max_abs": worst.numbers["max_abs"],
            "max_rel": max(d.numbers["max_rel"] for d in several),
            "count": sum(d.numbers["count"] for d in several),
            "samples": float(len(several)),
        }
        message = (
            f"{numbers['count']:.0f} values in {len(several)} sample(s) differ, at most by "
            f"{numbers['max_abs']:.3g} ({numbers['max_rel']:.3g} relative), at {worst.message}"
        )
        out.append(Difference("field", name, message, numbers))
    return out


def _times_and_parameters(a: Source, b: Source, n: int, near: Tolerance) -> list[Difference]:
    """The first sample with other times, lengths, or values of each parameter."""
    out: dict[str, Difference] = {}
    positions = {p.name: k for k, p in enumerate(b.schema.params)}
    evolves = [any(v.time_varying for v in s.schema.variables) for s in (a, b)]
    for i in range(n):
        where = f"sample {i}"
        if a.lengths[i] != b.lengths[i]:
            message = f"{a.lengths[i]} and {b.lengths[i]} frames"
            out.setdefault("lengths", Difference("time", where, message))
        elif all(evolves) and (off := near.unequal(a.times(i), b.times(i))).any():
            k = int(np.argmax(off))
            message = f"frame {k} is at {a.times(i)[k]:g} and {b.times(i)[k]:g}"
            out.setdefault("times", Difference("time", where, message))
        x, y = a.params(i), b.params(i)
        for k, p in enumerate(a.schema.params):
            if p.name in positions and near.unequal(x[k : k + 1], y[positions[p.name], None]).any():
                message = f"{where}: {x[k]:g} and {y[positions[p.name]]:g}"
                out.setdefault(p.name, Difference("parameter", p.name, message))
    return list(out.values())


def _splits(
    a: Source, b: Source, n: int, first: Split | None, second: Split | None
) -> list[Difference]:
    """Parts: of the sidecars where both have them, and as the formats declare them."""
    out = []
    if first is not None and second is not None and first.hash != second.hash:
        out.append(Difference("split", "splits.json", f"{first.rule} and {second.rule}"))
    for i in range(n):
        x, y = a.subset(i), b.subset(i)
        if x != y and x is not None and y is not None:
            out.append(Difference("split", f"sample {i}", f"it stands in {x} and in {y}"))
            break
    return out
