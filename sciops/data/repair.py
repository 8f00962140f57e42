"""What a data set lacks or has wrong, put right: names, units, roles, boundary, times, NaN.

    Described(source, schema, ..)   the same numbers under another description
    Filled(source, value)           a number in place of NaN and infinities

Nothing is changed but what was asked for, and each change is a line in the notes of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import NotFound, SchemaError, did_you_mean
from sciops.core.schema import ROLES, SIDES, Axis, Boundary, Grid, Schema, Variable
from sciops.data.checks.boundary import KINDS
from sciops.data.formats._well import uniform_step
from sciops.data.merge import duplicates
from sciops.data.source import Derived, Selected, Source

Progress = Callable[[int, int], None]
SHOWN = 5  # samples that a message names


@dataclass(frozen=True)
class Times:
    """Times of the frames: all given, or dt apart from a start (that of the data if None)."""

    given: tuple[float, ...] = ()
    dt: float | None = None
    start: float | None = None

    def of(self, known: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T,) times of a trajectory whose times were `known`."""
        if self.given:
            return np.array(self.given[: len(known)])
        assert self.dt is not None
        begin = self.start
        if begin is None:
            begin = float(known[0]) if np.isfinite(known[0]) else 0.0
        return np.asarray(begin + self.dt * np.arange(len(known)), dtype=np.float64)


@dataclass(frozen=True)
class Repairs:
    """What is to be changed; names are those of the file.

    Attributes
    ----------
    boundary
        Conditions that replace what is known of their side (and variables, where they name some).
    units
        Variable, parameter, axis or ``time`` -> unit.
    rename
        Variable, parameter or axis -> new name.
    roles
        Variable -> role.
    times
        Times of the frames.
    not_finite
        ``drop`` the samples with NaN or infinities, make them an ``error``, or fill in a number.
    drop_duplicates
        Whether samples that hold the same numbers as an earlier one are left out.
    """

    boundary: tuple[Boundary, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    times: Times | None = None
    not_finite: Literal["drop", "error"] | float | None = None
    drop_duplicates: bool = False


class Described(Derived):
    """The same numbers under another description.

    Parameters
    ----------
    under
        The data set.
    schema
        Its variables one to one, in the same order.
    times
        Other times, or None.
    """

    def __init__(self, under: Source, schema: Schema, times: Times | None = None) -> None:
        super().__init__(under)
        pairs = zip(schema.variables, under.schema.variables, strict=True)
        self.schema, self._times = schema, times
        self.names = {new.name: old.name for new, old in pairs}
        self.provenance = {
            new: under.provenance[old] for new, old in self.names.items() if old in under.provenance
        }

    def times(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        known = self.under.times(sample)
        return known if self._times is None else self._times.of(known)

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        return self.under.read(self.names[name], sample, frames)

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        return self.under.dtype(self.names[name])

    def shared(self, name: str) -> bool:
        """See `Source`."""
        return self.under.shared(self.names[name])

    def settings(self) -> Any:
        """See `Derived`."""
        t = self._times
        return [self.names, None if t is None else [t.given, t.dt, t.start]]


class Filled(Derived):
    """NaN and infinities replaced by one number."""

    def __init__(self, under: Source, value: float) -> None:
        super().__init__(under)
        self.value = value

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        values = self.under.read(name, sample, frames)
        if values.dtype.kind not in "fc" or (finite := np.isfinite(values)).all():
            return values
        return np.where(finite, values, np.asarray(self.value, dtype=values.dtype))

    def settings(self) -> Any:
        """See `Derived`."""
        return self.value


def repair(source: Source, repairs: Repairs, progress: Progress | None = None) -> Source:
    """A data set after its repairs, told in its notes.

    Parameters
    ----------
    source
        The data set.
    repairs
        What to change.
    progress
        Called with (samples read, samples) while NaN or duplicates are looked for.

    Raises
    ------
    SchemaError
        If a repair does not fit the data set, or NaN are an error.
    NotFound
        If a name is not there.
    """
    told: list[str] = []
    if repairs.not_finite is not None:
        source = _finite(source, repairs.not_finite, told, progress)
    if repairs.drop_duplicates:
        double = duplicates(source, progress)
        if double:
            told.append(f"{len(double)} samples that repeated an earlier one were dropped: "
                        f"{_listed(double)}")  # fmt: skip
            source = Selected(source, [s for s in range(source.n_samples) if s not in double])
    schema = _roles(source.schema, repairs.roles, told)
    schema = _units(schema, repairs.units, told)
    schema = _boundary(source, schema, repairs.boundary, told)
    if repairs.times is not None:
        schema = _timed(source, schema, repairs.times, told)
    schema = _renamed(schema, repairs.rename, told)
    if schema != source.schema or repairs.times is not None:
        source = Described(source, schema, repairs.times)
    source.notes = (*source.notes, *(f"repaired: {line}" for line in told))
    return source


def _finite(
    source: Source,
    how: Literal["drop", "error"] | float,
    told: list[str],
    progress: Progress | None,
) -> Source:
    wrong = []
    for s in range(source.n_samples):
        if progress is not None:
            progress(s, source.n_samples)
        if not _all_finite(source, s):
            wrong.append(s)
    if not wrong:
        return source
    where = f"{len(wrong)} of {source.n_samples} samples hold NaN or infinities: {_listed(wrong)}"
    if how == "error":
        raise SchemaError(f"{where}; drop them (--nan drop), or fill in a number (--nan 0)")
    if how == "drop":
        if len(wrong) == source.n_samples:
            raise SchemaError(f"{where}; no sample would be left")
        told.append(f"{where}; they were dropped")
        return Selected(source, [s for s in range(source.n_samples) if s not in set(wrong)])
    told.append(f"{where}; {how:g} was filled in")
    return Filled(source, float(how))


def _all_finite(source: Source, sample: int) -> bool:
    for v in source.schema.variables:
        if v.role == "param" or source.dtype(v.name).kind not in "fc":
            continue
        for _, values in source.blocks(v.name, sample):
            if not np.isfinite(values).all():
                return False
    return True


def _roles(schema: Schema, roles: Mapping[str, str], told: list[str]) -> Schema:
    for name, role in roles.items():
        v = schema[name]
        if role not in ROLES or "param" in (role, v.role):
            fields = [r for r in ROLES if r != "param"]
            raise SchemaError(
                f"--role {name}={role}: the role of a field is one of {', '.join(fields)}, and "
                f"parameters stay parameters.{did_you_mean(role, fields)}"
            )
        if role == "state" and not v.time_varying:
            raise SchemaError(f"--role {name}=state: a state evolves, {name} has no time axis")
        told.append(f"role of {name}: {v.role} became {role}")
        schema = _replaced(schema, v, replace(v, role=role))
    return schema


def _units(schema: Schema, units: Mapping[str, str], told: list[str]) -> Schema:
    axes = _axis_names(schema)
    for name, unit in units.items():
        if name in {v.name for v in schema.variables}:
            old = schema[name].unit
            schema = _replaced(schema, schema[name], replace(schema[name], unit=unit))
        elif name in axes:
            old, known = schema.axis(name).unit, schema.boundary
            schema = replace(_with_axis(schema, name, _in_unit(unit)), boundary=known)
        elif name == "time":
            old, schema = schema.time_unit, replace(schema, time_unit=unit)
        else:
            raise _no_such(name, schema, "time")
        told.append(f"unit of {name}: {old or 'unknown'} became {unit}")
    return schema


def _boundary(
    source: Source, schema: Schema, conditions: Sequence[Boundary], told: list[str]
) -> Schema:
    for b in conditions:
        axis = schema.axis(b.axis)
        if b.kind not in KINDS:
            raise SchemaError(
                f"a boundary is one of {', '.join(KINDS)}, got {b.kind!r}."
                f"{did_you_mean(b.kind, KINDS)}"
            )
        for name in b.variables:
            schema[name]  # NotFound
        if b.kind == "periodic" and b.variables:
            raise SchemaError(f"axis {b.axis!r} is periodic for all variables or for none")
        known = _with_condition(schema.boundary, b, told)
        if b.kind == "periodic":
            _require_open_end(source, axis)
            change = _closed
        else:  # an axis with another end is not periodic, and its other end becomes unknown
            known = tuple(c for c in known if (c.axis, c.kind) != (b.axis, "periodic"))
            change = _opened_unknown if b.kind == "unknown" else _opened
        schema = replace(_with_axis(schema, b.axis, change), boundary=known)
    for name in {b.axis for b in conditions}:
        both = {schema.boundary_kind(name, side) for side in SIDES}
        if "periodic" in both and len(both) > 1:
            raise SchemaError(
                f"axis {name!r} would be periodic at one side and {(both - {'periodic'}).pop()} at "
                f"the other; name both sides, as in --boundary {name}=periodic"
            )
    return schema


def _with_condition(
    known: tuple[Boundary, ...], b: Boundary, told: list[str]
) -> tuple[Boundary, ...]:
    """The conditions with `b`: it replaces what its side says of the same variables, or of all."""
    place = (b.axis, b.side)
    gone = [
        c
        for c in known
        if (c.axis, c.side) == place and (not b.variables or set(c.variables) <= set(b.variables))
        and (c.variables or not b.variables)
    ]  # fmt: skip
    of = f" of {', '.join(b.variables)}" if b.variables else ""
    old = ", ".join(c.kind for c in gone) or "unknown"
    value = "" if b.value is None else f" = {b.value:g}"
    told.append(f"boundary {b.axis} {b.side}{of}: {old} became {b.kind}{value}")
    return (*(c for c in known if c not in gone), *(() if b.kind == "unknown" else (b,)))


def _require_open_end(source: Source, axis: Axis) -> None:
    """SchemaError where the last point of an axis that becomes periodic repeats the first."""
    if axis.spacing != "node":
        return
    telling = False
    for v in source.schema.variables:
        if not isinstance(v.domain, Grid) or axis.name not in v.domain.names:
            continue
        if axis.name in v.constant_along:
            continue
        values = source.read(v.name, 0, slice(0, 1))
        k = v.domain.names.index(axis.name) + (1 if v.time_varying else 0)
        if not np.array_equal(values.take(0, k), values.take(-1, k), equal_nan=True):
            return
        telling |= not np.array_equal(values.take(0, k), values.take(1, k), equal_nan=True)
    if telling:
        x = axis.coordinates
        raise SchemaError(
            f"axis {axis.name!r}: the last point holds the values of the first, which for a "
            f"periodic axis is one place twice; leave it out first: sciops data subsample --crop "
            f"{axis.name}=:{(x[-1] + x[-2]) / 2:g}"
        )


def _closed(axis: Axis) -> Axis:
    """The axis as a periodic one; nodes that reach both ends get the interval that closes it."""
    if axis.spacing == "node":
        return Axis.through(axis.name, axis.coordinates, periodic=True, unit=axis.unit)
    return replace(axis, periodic=True)


def _opened(axis: Axis) -> Axis:
    return replace(axis, periodic=False)


def _opened_unknown(axis: Axis) -> Axis:
    return replace(axis, periodic=None) if axis.periodic else axis


def _timed(source: Source, schema: Schema, times: Times, told: list[str]) -> Schema:
    if not any(v.time_varying for v in schema.variables):
        raise SchemaError("nothing evolves in this data set: it has no times")
    longest = int(source.lengths.max())
    if times.given and (len(times.given) != longest or not (np.diff(times.given) > 0).all()):
        raise SchemaError(
            f"--times must be {longest} increasing numbers, one a frame, got {len(times.given)}"
        )
    if times.given and not np.isfinite(times.given).all():
        raise SchemaError("--times must be finite")
    if times.dt is not None and not 0 < times.dt < np.inf:
        raise SchemaError(f"--dt must be a number above 0, got {times.dt:g}")
    known = source.times(int(np.argmax(source.lengths)))
    new = times.of(known)
    old = "unknown" if np.isnan(known).any() else f"{known[0]:g} .. {known[-1]:g}"
    told.append(f"times of the frames: {old} became {new[0]:g} .. {new[-1]:g}")
    dt = uniform_step(new) if times.given else times.dt
    if dt != schema.dt:
        old, made = ("unknown" if step is None else f"{step:g}" for step in (schema.dt, dt))
        told.append(f"dt: {old} became {made}")
    return replace(schema, dt=dt)


def _renamed(schema: Schema, names: Mapping[str, str], told: list[str]) -> Schema:
    variables, axes = {v.name for v in schema.variables}, _axis_names(schema)
    for old, new in names.items():
        if old not in variables | axes:
            raise _no_such(old, schema)
        if not new or "/" in new:
            raise SchemaError(f"--rename {old}={new}: a name is not empty and has no slash")
        told.append(f"{old} is called {new}")
    after = [names.get(n, n) for n in variables | axes]
    double = sorted({n for n in after if after.count(n) > 1})
    if double:
        raise SchemaError(f"--rename: two things would be called {', '.join(double)}")

    def to(name: str) -> str:
        return names.get(name, name)

    return replace(
        schema,
        variables=tuple(
            replace(
                v,
                name=to(v.name),
                domain=_grid(v, axes, lambda a: replace(a, name=to(a.name))),
                constant_along=tuple(map(to, v.constant_along)),
            )
            for v in schema.variables
        ),
        boundary=tuple(
            replace(b, axis=to(b.axis), variables=tuple(map(to, b.variables)))
            for b in schema.boundary
        ),
        feedback=tuple((to(a), to(b)) for a, b in schema.feedback),
    )


def _replaced(schema: Schema, old: Variable, new: Variable) -> Schema:
    return replace(schema, variables=tuple(new if v is old else v for v in schema.variables))


def _in_unit(unit: str) -> Callable[[Axis], Axis]:
    return lambda axis: replace(axis, unit=unit)


def _with_axis(schema: Schema, name: str, change: Callable[[Axis], Axis]) -> Schema:
    """The schema, without its boundary, with one axis changed on every grid that has it."""
    variables = tuple(replace(v, domain=_grid(v, {name}, change)) for v in schema.variables)
    return replace(schema, variables=variables, boundary=())


def _grid(v: Variable, names: set[str], change: Callable[[Axis], Axis]) -> Any:
    if not isinstance(v.domain, Grid):
        return v.domain
    return Grid(tuple(change(a) if a.name in names else a for a in v.domain.axes))


def _axis_names(schema: Schema) -> set[str]:
    return {a.name for v in schema.variables if isinstance(v.domain, Grid) for a in v.domain.axes}


def _no_such(name: str, schema: Schema, *more: str) -> NotFound:
    known = [*(v.name for v in schema.variables), *sorted(_axis_names(schema)), *more]
    return NotFound(
        f"no variable, parameter or axis {name!r} among {known}.{did_you_mean(name, known)}"
    )


def _listed(samples: Any) -> str:
    some = list(samples)
    return ", ".join(map(str, some[:SHOWN])) + (", .." if len(some) > SHOWN else "")


def condition(text: str) -> tuple[Boundary, ...]:
    """Conditions from text: ``x=periodic``, ``y.lower=wall``, ``velocity@y.upper=dirichlet:1``.

    Raises
    ------
    SchemaError
        If it is not of the form [VARIABLE@]AXIS[.lower|.upper]=KIND[:VALUE].
    """
    where, equals, what = text.partition("=")
    names, at, place = where.rpartition("@")
    axis, dot, side = place.partition(".")
    kind, colon, number = what.partition(":")
    try:
        value = float(number) if colon else None
    except ValueError:
        value = np.nan
    if not (equals and axis and kind) or (dot and side not in SIDES) or (at and not names):
        value = np.nan
    if value is not None and not np.isfinite(value):
        raise SchemaError(
            f"a boundary is [VARIABLE@]AXIS[.lower|.upper]=KIND[:VALUE], as in x=periodic, "
            f"y.lower=wall or velocity@y.upper=dirichlet:1; got {text!r}"
        )
    sides = SIDES if not dot else tuple(s for s in SIDES if s == side)
    variables = tuple(names.split(",")) if at else ()
    return tuple(Boundary(axis, s, kind, variables, value) for s in sides)
