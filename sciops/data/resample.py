"""The same fields at fewer times, on a part of the domain, or at another resolution.

    Frames(source, slice(a, b, s))     frames a, a + s, .. below b
    Resampled(source, {"x": rule})     one rule an axis (`axis_rules`), the tensor product over axes

Integers and booleans stay what they are where points are picked, and become float64 where they are
averaged or transformed.  A side that is cut has no known boundary any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.data.axis_rules import Crop, Method, Resolution, Rule, Stride
from sciops.data.source import BLOCK, Derived, Source


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
        Axis -> number of points, and how they are found; see `axis_rules`.

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
