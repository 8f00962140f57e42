"""Several data sets of one schema as one, sample after sample.

    Merged([A, B])                    the samples of A, then those of B
    WithParameters(source, {..})      numbers that no file holds, one a sample

What the data sets do not share is refused with the names of the two that differ; units, boundary
and grids must be equal, since nobody could tell later which sample had which.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Schema, Variable
from sciops.data.source import Derived, Source, joined, sample_hash

Progress = Callable[[int, int], None]
SHOWN = 5  # duplicates that a message names
ALIKE = ("role", "components", "symmetry", "unit", "location", "time_varying", "domain")


class Merged(Source):
    """The samples of several sources of one schema, in their order.

    Parameters
    ----------
    sources
        The data sets; the first one gives the order of variables.
    names
        What they are called in messages.

    Raises
    ------
    SchemaError
        If they differ in anything but their samples, times and attributes.
    """

    def __init__(self, sources: Sequence[Source], names: Sequence[str]) -> None:
        if not sources:
            raise SchemaError("nothing to merge: no data set was given")
        first = sources[0]
        for other, name in zip(sources[1:], names[1:], strict=True):
            _require_alike(first, other, names[0], name)
        self.sources = tuple(sources)
        self.lengths = np.concatenate([s.lengths for s in sources])
        self._ends = list(accumulate(s.n_samples for s in sources))
        notes = list(dict.fromkeys(n for s in sources for n in s.notes))
        notes.append(f"{len(sources)} data sets were merged")
        steps = {s.schema.dt for s in sources}
        if len(steps) > 1:
            notes.append("the merged data sets have different time steps; dt is not stated")
        dt = first.schema.dt if len(steps) == 1 else None
        schema = first.schema
        self.schema = replace(schema, dt=dt, variables=tuple(map(self._variable, schema.variables)))
        self.attributes = {
            k: x
            for k, x in first.attributes.items()
            if all(s.attributes.get(k) == x for s in sources)
        }
        lost = sorted({k for s in sources for k in s.attributes} - set(self.attributes))
        if lost:
            notes.append(f"attributes that differ were left out: {', '.join(lost)}")
        self.provenance = {
            v.name: "; ".join(dict.fromkeys(s.provenance.get(v.name, "unknown") for s in sources))
            for v in self.schema.params
        }
        self.notes = tuple(notes)

    def _variable(self, v: Variable) -> Variable:
        """The variable; constant along an axis only where it is in all sources."""
        everywhere = [set(s.schema[v.name].constant_along) for s in self.sources]
        common = set.intersection(*everywhere)
        return replace(v, constant_along=tuple(a for a in v.constant_along if a in common))

    def _locate(self, sample: int) -> tuple[Source, int]:
        if not 0 <= sample < self.n_samples:
            raise IndexError(f"sample {sample} of {self.n_samples}")
        k = bisect_right(self._ends, sample)
        return self.sources[k], sample - (self._ends[k - 1] if k else 0)

    def times(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        source, i = self._locate(sample)
        return source.times(i)

    def params(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        source, i = self._locate(sample)
        values = dict(zip((v.name for v in source.schema.params), source.params(i), strict=True))
        return np.array([values[v.name] for v in self.schema.params], dtype=np.float64)

    def subset(self, sample: int) -> str | None:
        """See `Source`."""
        source, i = self._locate(sample)
        return source.subset(i)

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        source, i = self._locate(sample)
        return source.read(name, i, frames).astype(self.dtype(name), copy=False)

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        return np.result_type(*{s.dtype(name) for s in self.sources})

    @cached_property
    def _shared(self) -> dict[str, bool]:
        return {}

    def shared(self, name: str) -> bool:
        """See `Source`."""
        if name not in self._shared:
            here = all(s.shared(name) for s in self.sources)
            self._shared[name] = here and all(
                np.array_equal(s.read(name, 0), self.sources[0].read(name, 0))
                for s in self.sources[1:]
            )
        return self._shared[name]

    def fingerprint(self) -> str:
        """See `Source`."""
        return joined("merged", [s.fingerprint() for s in self.sources])


class WithParameters(Derived):
    """A source with further parameters, given one value a sample.

    Parameters
    ----------
    under
        The data set.
    values
        Name -> (n,) values.
    units
        Name -> unit, of those that are known.
    """

    def __init__(
        self,
        under: Source,
        values: Mapping[str, NDArray[np.float64]],
        units: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(under)
        taken = sorted(set(values) & {v.name for v in under.schema.variables})
        if taken:
            raise SchemaError(f"{', '.join(taken)}: the data set has a variable of that name")
        for name, found in values.items():
            if np.shape(found) != (under.n_samples,):
                raise SchemaError(
                    f"parameter {name!r} needs one value for each of {under.n_samples} samples, "
                    f"got {np.shape(found)}"
                )
        self.values = {k: np.asarray(a, dtype=np.float64) for k, a in values.items()}
        new = tuple(Variable(k, role="param", unit=(units or {}).get(k)) for k in values)
        self.schema = replace(under.schema, variables=(*under.schema.variables, *new))
        self.provenance = {**under.provenance, **dict.fromkeys(values, "given when merged")}

    def params(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return np.append(self.under.params(sample), [a[sample] for a in self.values.values()])

    def settings(self) -> Any:
        """See `Derived`."""
        return {k: a.tolist() for k, a in self.values.items()}


def merge(
    sources: Sequence[Source],
    names: Sequence[str] | None = None,
    params: Mapping[str, Sequence[float]] | None = None,
    units: Mapping[str, str] | None = None,
    allow_duplicates: bool = False,
    progress: Progress | None = None,
) -> Source:
    """Join data sets of one schema.

    Parameters
    ----------
    sources
        The data sets.
    names
        What they are called in messages; their numbers if left out.
    params, units
        New parameters: name -> one value for each of the data sets, and its unit.
    allow_duplicates
        Whether a trajectory may stand twice.
    progress
        Called with (samples read, samples) while duplicates are looked for.

    Raises
    ------
    SchemaError
        If schemas differ, or a trajectory stands twice.
    """
    known = list(names or (f"data set {k}" for k in range(len(sources))))
    merged = Merged(sources, known)
    if not allow_duplicates:
        double = duplicates(merged, progress)
        if double:
            shown = ", ".join(f"{i} = {k}" for i, k in list(double.items())[:SHOWN])
            raise SchemaError(
                f"{len(double)} sample(s) hold the same numbers as an earlier one (counted through "
                f"all data sets: {shown}); leave one of the data sets out, drop them (sciops data "
                f"repair --drop-duplicates), or pass --allow-duplicates"
            )
    if not params:
        return merged
    wrong = {k: len(v) for k, v in params.items() if len(v) != len(sources)}
    if wrong:
        raise SchemaError(f"{len(sources)} data sets need as many values, got {wrong}")
    sizes = [s.n_samples for s in sources]
    return WithParameters(
        merged, {k: np.repeat(np.asarray(v, float), sizes) for k, v in params.items()}, units
    )


def duplicates(source: Source, progress: Progress | None = None) -> dict[int, int]:
    """Sample -> an earlier one with the same fields, parameters and types."""
    first: dict[str, int] = {}
    double = {}
    for sample in range(source.n_samples):
        if progress is not None:
            progress(sample, source.n_samples)
        digest = sample_hash(source, sample)
        if digest in first:
            double[sample] = first[digest]
        else:
            first[digest] = sample
    return double


def _require_alike(a: Source, b: Source, first: str, second: str) -> None:
    """SchemaError unless both can stand in one file."""
    found = _differences(a.schema, b.schema)
    for v in a.schema.variables:
        if v.role != "param" and not found:
            kinds = a.dtype(v.name), b.dtype(v.name)
            if ("f" if kinds[0].kind == "c" else kinds[0].kind) != (
                "f" if kinds[1].kind == "c" else kinds[1].kind
            ):
                found.append(f"{v.name} is {kinds[0]} and {kinds[1]}")
    if found:
        raise SchemaError(
            f"{first} and {second} cannot be merged: {'; '.join(found)}. Make them alike with "
            f"sciops data repair (names, units, boundary) or sciops data subsample (grids)"
        )


def _differences(a: Schema, b: Schema) -> list[str]:
    mine, theirs = ({v.name for v in s.variables} for s in (a, b))
    only = {"first": sorted(mine - theirs), "second": sorted(theirs - mine)}
    out = [f"only the {which} has {', '.join(names)}" for which, names in only.items() if names]
    for v in a.variables:
        if v.name not in theirs:
            continue
        w = b[v.name]
        for what in ALIKE:
            x, y = getattr(v, what), getattr(w, what)
            if x == y:
                continue
            if what == "domain":
                out.append(_domains(v, w))
            else:
                out.append(f"the {what} of {v.name} is {x} and {y}")
    if sorted(a.boundary, key=repr) != sorted(b.boundary, key=repr):
        said = [
            ", ".join(f"{c.axis} {c.side} {c.kind}" for c in s.boundary) or "unknown"
            for s in (a, b)
        ]
        out.append(f"the boundary is {said[0]} and {said[1]}")
    if a.time_unit != b.time_unit:
        out.append(f"the unit of time is {a.time_unit} and {b.time_unit}")
    return out


def _domains(v: Variable, w: Variable) -> str:
    x, y = v.domain, w.domain
    if x is None or y is None or x.names != y.names or x.shape != y.shape:
        sizes = [None if d is None else f"{d.names} {d.shape}" for d in (x, y)]
        return f"{v.name} lies on {sizes[0]} and {sizes[1]}"
    axes = zip(getattr(x, "axes", ()), getattr(y, "axes", ()), strict=False)
    off = [f"{a!r} and {b!r}" for a, b in axes if a != b]
    return f"{v.name} lies on other points: {', '.join(off) or 'of one number'}"
