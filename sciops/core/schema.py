r"""What the numbers of a data set mean: axes, grids, variables, boundaries.

    Axis      one coordinate on [lower, upper]: x_i, i = 0 .. n-1, uniform or graded
    Grid      the tensor product of axes; Points  a set of M points in D dimensions
    Variable  a quantity q(x): scalar, vector or tensor; its role; the domain where it is known
    Schema    the variables of a data set or of a learning task, with boundary and time step

Everything is frozen, holds numpy arrays only, compares by value, pickles, and goes to JSON and
back without loss.  What is not known is None or "unknown"; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciops.core.errors import NotFound, SchemaError, did_you_mean

Role = Literal["state", "input", "target", "param", "forcing", "geometry"]
Location = Literal["cell", "node", "face"]
Symmetry = Literal["symmetric", "antisymmetric"]
Side = Literal["lower", "upper"]
Spacing = Literal["cell", "node", "periodic", "left", "interior", "graded"]

SIDES: tuple[Side, Side] = ("lower", "upper")
ROLES: tuple[Role, ...] = ("state", "input", "target", "param", "forcing", "geometry")
SCHEMA_VERSION = 1  # of the JSON
MOST_POINTS = 1 << 23  # of all uniform axes together that are read from JSON, anybody's
MOST_ENTRIES = 1 << 12  # grids, variables, boundary conditions in JSON
JSON_TYPES: dict[str, tuple[type, ...]] = {  # of the entries that have a key of that name
    "name": (str,), "axis": (str,), "kind": (str,), "side": (str,), "spacing": (str,),
    "lower": (int, float), "upper": (int, float), "n": (int,), "frames": (int,),
    "time_varying": (bool,), "periodic": (bool, type(None)), "domain": (int, type(None)),
    "unit": (str, type(None)), "time_unit": (str, type(None)), "symmetry": (str, type(None)),
    "location": (str, type(None)), "value": (int, float, type(None)),
    "dt": (int, float, type(None)),
}  # fmt: skip
SPACING_TOLERANCE = 1e-3  # of one interval: coordinates are often stored in float32


def _frozen(values: ArrayLike, ndim: int, what: str) -> NDArray[np.float64]:
    """A read-only float64 copy, checked for rank and finiteness."""
    array = np.array(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise SchemaError(f"{what} must be a non-empty array of rank {ndim}, got {array.shape}")
    if not np.isfinite(array).all():
        raise SchemaError(f"{what} must be finite, got NaN or infinity")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Axis:
    r"""One coordinate axis: points x_i on the interval [lower, upper].

    Parameters
    ----------
    name
        Name of the dimension, for example ``"x"``.
    coordinates
        (n,) strictly increasing positions.
    lower, upper
        Ends of the domain, in the unit of the coordinates.  They may lie outside the first and
        last point (cell centres).
    periodic
        Whether `upper` is the same place as `lower`; None where it is not known.
    unit
        Unit of the coordinates; None where it is not known.

    Notes
    -----
    With L = upper - lower the spacings that are recognised (`Axis.spacing`) are

    ========  =========================  ================================
    cell      x_i = lower + (i + 1/2) h  h = L / n
    node      x_i = lower + i h          h = L / (n - 1)
    periodic  x_i = lower + i h          h = L / n, the axis is periodic
    left      x_i = lower + i h          h = L / n, the axis is not
    interior  x_i = lower + (i + 1) h    h = L / (n + 1)
    graded    anything else
    ========  =========================  ================================
    """

    name: str
    coordinates: NDArray[np.float64]
    lower: float
    upper: float
    periodic: bool | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        x = _frozen(self.coordinates, 1, f"coordinates of axis {self.name!r}")
        if len(x) > 1 and not (np.diff(x) > 0).all():
            raise SchemaError(f"coordinates of axis {self.name!r} must increase strictly")
        slack = SPACING_TOLERANCE * (self.upper - self.lower) / max(len(x), 1)
        if not self.lower < self.upper:
            raise SchemaError(
                f"axis {self.name!r}: lower must be below upper, got [{self.lower}, {self.upper}]"
            )
        if x[0] < self.lower - slack or x[-1] > self.upper + slack:
            raise SchemaError(
                f"axis {self.name!r}: coordinates [{x[0]}, {x[-1]}] leave the domain "
                f"[{self.lower}, {self.upper}]"
            )
        object.__setattr__(self, "coordinates", x)
        object.__setattr__(self, "lower", float(self.lower))
        object.__setattr__(self, "upper", float(self.upper))

    @classmethod
    def uniform(
        cls,
        name: str,
        n: int,
        lower: float = 0.0,
        upper: float = 1.0,
        spacing: Spacing = "cell",
        periodic: bool | None = None,
        unit: str | None = None,
    ) -> Axis:
        """n equidistant points of one of the spacings in the table above."""
        points = uniform_points(n, lower, upper, spacing)
        if spacing == "periodic":
            periodic = True
        return cls(name, points, lower, upper, periodic, unit)

    @classmethod
    def through(
        cls,
        name: str,
        coordinates: ArrayLike,
        location: Location | None = None,
        periodic: bool | None = None,
        unit: str | None = None,
    ) -> Axis:
        """The axis through stored positions.

        The domain ends half an interval outside the outermost points for cell centres, one
        interval after the last point for nodes of a periodic axis, and at the outermost points
        otherwise.
        """
        x = np.asarray(coordinates, dtype=np.float64)
        if len(x) < 2:
            centre = float(x[0]) if len(x) else 0.0
            return cls(name, x, centre - 0.5, centre + 0.5, periodic, unit)
        first, last = x[1] - x[0], x[-1] - x[-2]
        if location == "cell":
            return cls(name, x, x[0] - first / 2, x[-1] + last / 2, periodic, unit)
        return cls(name, x, x[0], x[-1] + (last if periodic else 0.0), periodic, unit)

    @property
    def size(self) -> int:
        """Number of points n."""
        return len(self.coordinates)

    @property
    def length(self) -> float:
        """Length L of the domain."""
        return self.upper - self.lower

    @cached_property
    def spacing(self) -> Spacing:
        """How the points lie in the domain; `graded` where no uniform rule fits."""
        rules: tuple[Spacing, ...] = ("periodic", "cell", "node", "interior", "left")
        for rule in rules:
            if (rule == "periodic") > bool(self.periodic) or (rule == "node" and self.size < 2):
                continue
            points = uniform_points(self.size, self.lower, self.upper, rule)
            if (
                np.abs(points - self.coordinates).max()
                <= SPACING_TOLERANCE * self.length / self.size
            ):
                return rule
        return "graded"

    @cached_property
    def widths(self) -> NDArray[np.float64]:
        """(n,) length of the interval that each point stands for; they add up to L."""
        x = self.coordinates
        if self.periodic:
            gaps = np.diff(np.append(x, x[0] + self.length))
            return (gaps + np.roll(gaps, 1)) / 2
        middle = (x[1:] + x[:-1]) / 2
        return np.diff(np.concatenate([[self.lower], middle, [self.upper]]))

    def resized(self, n: int) -> Axis:
        """The same domain with n points of the same spacing (graded: the map is interpolated)."""
        if n == self.size:
            return self
        if self.spacing == "graded":
            places = np.linspace(0.0, self.size - 1.0, n)
            return replace(
                self, coordinates=np.interp(places, np.arange(self.size), self.coordinates)
            )
        return Axis.uniform(
            self.name, n, self.lower, self.upper, self.spacing, self.periodic, self.unit
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Axis)
            and (self.name, self.lower, self.upper, self.periodic, self.unit)
            == (other.name, other.lower, other.upper, other.periodic, other.unit)
            and np.array_equal(self.coordinates, other.coordinates)
        )

    def __hash__(self) -> int:
        return hash((self.name, self.size, self.lower, self.upper))

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name}[{self.size} {self.spacing}, {self.lower:g}..{self.upper:g}{unit}]"


def uniform_points(n: int, lower: float, upper: float, spacing: Spacing) -> NDArray[np.float64]:
    """n equidistant points by the rules in `Axis`; the outermost ones are exact."""
    if n < 1 or (spacing == "node" and n < 2):
        raise SchemaError(f"an axis of spacing {spacing!r} cannot have {n} points")
    offset, intervals = {
        "cell": (0.5, n),
        "node": (0.0, n - 1),
        "periodic": (0.0, n),
        "left": (0.0, n),
        "interior": (1.0, n + 1),
    }[spacing]
    fraction = (np.arange(n) + offset) / intervals
    return lower * (1.0 - fraction) + upper * fraction


@dataclass(frozen=True)
class Grid:
    """The tensor product of axes, in the order in which arrays are stored: (*N)."""

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if not names or len(set(names)) != len(names):
            raise SchemaError(f"a grid needs axes of different names, got {names}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes, in storage order."""
        return tuple(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis (*N)."""
        return tuple(axis.size for axis in self.axes)

    @property
    def dimension(self) -> int:
        """Number of axes D."""
        return len(self.axes)

    @property
    def coordinates(self) -> NDArray[np.float64]:
        """(prod N, D) positions of all points, last axis fastest."""
        mesh = np.meshgrid(*(axis.coordinates for axis in self.axes), indexing="ij")
        return np.stack([m.ravel() for m in mesh], axis=-1)

    def resized(self, shape: Sequence[int]) -> Grid:
        """The same domain on another number of points."""
        if len(shape) != self.dimension:
            raise SchemaError(f"a grid of axes {self.names} cannot have the shape {tuple(shape)}")
        return Grid(tuple(a.resized(n) for a, n in zip(self.axes, shape, strict=True)))


@dataclass(frozen=True, eq=False)
class Points:
    """M points in D dimensions, with optional cells and quadrature weights.

    Parameters
    ----------
    coordinates
        (M, D) positions.
    cells
        (K, V) point numbers of the K cells (triangles, quadrilaterals, ..), or None.
    weights
        (M,) volume that each point stands for, or None.
    """

    coordinates: NDArray[np.float64]
    cells: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        x = _frozen(self.coordinates, 2, "coordinates of points")
        object.__setattr__(self, "coordinates", x)
        if self.cells is not None:
            cells = np.array(self.cells, dtype=np.int64)
            if cells.ndim != 2 or cells.min() < 0 or cells.max() >= len(x):
                raise SchemaError(f"cells must be (K, V) numbers below {len(x)}, got {cells.shape}")
            object.__setattr__(self, "cells", cells)
        if self.weights is not None:
            weights = _frozen(self.weights, 1, "weights of points")
            if len(weights) != len(x):
                raise SchemaError(f"{len(x)} points need as many weights, got {len(weights)}")
            object.__setattr__(self, "weights", weights)

    @property
    def shape(self) -> tuple[int, ...]:
        """(M,): the shape of a field on these points."""
        return (len(self.coordinates),)

    @property
    def names(self) -> tuple[str, ...]:
        """The one dimension of a field on points."""
        return ("node",)

    @property
    def dimension(self) -> int:
        """Number of coordinates D."""
        return int(self.coordinates.shape[1])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Points)
            and np.array_equal(self.coordinates, other.coordinates)
            and _equal_or_none(self.cells, other.cells)
            and _equal_or_none(self.weights, other.weights)
        )

    def __hash__(self) -> int:
        return hash(self.coordinates.shape)


def _equal_or_none(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


Domain = Grid | Points


@dataclass(frozen=True)
class Variable:
    """One quantity of a data set or of a learning task.

    Parameters
    ----------
    name
        Name of the quantity, for example ``"velocity"``.
    domain
        Where it is known; None for a scalar parameter.
    role
        ``state`` evolves in time (a window makes it both input and target), ``input`` and
        ``target`` are what a map takes and gives, ``param`` is one number a sample, ``forcing``
        acts from outside, ``geometry`` describes the domain (masks, obstacles).
    components
        Shape of the value at one point: () scalar, (d,) vector, (d, d) tensor.
    symmetry
        Of a tensor; None where it has none or it is not known.
    unit, location
        None where not known.
    time_varying
        Whether there is one field a time step.
    frames
        Time steps stacked into the channels, oldest first (inputs of a task with history).
    constant_along
        Axes of the domain along which the field does not change and is stored once.
    """

    name: str
    domain: Domain | None = None
    role: Role = "state"
    components: tuple[int, ...] = ()
    symmetry: Symmetry | None = None
    unit: str | None = None
    location: Location | None = None
    time_varying: bool = False
    frames: int = 1
    constant_along: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise SchemaError(f"variable {self.name!r}: role {self.role!r} is not one of {ROLES}")
        if (self.domain is None) != (self.role == "param"):
            raise SchemaError(f"variable {self.name!r}: exactly a param has no domain")
        if self.frames < 1 or len(self.components) > 2:
            raise SchemaError(f"variable {self.name!r}: frames >= 1 and rank <= 2 are needed")
        if self.symmetry is not None and len(self.components) != 2:
            raise SchemaError(f"variable {self.name!r}: only a tensor can be {self.symmetry}")

    @property
    def rank(self) -> int:
        """0 scalar, 1 vector, 2 tensor."""
        return len(self.components)

    @property
    def width(self) -> int:
        """Numbers at one point of one frame."""
        return math.prod(self.components)

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """Axes of one sample before the components: time where it varies, and those of the grid."""
        space = () if self.domain is None else self.domain.names
        return ("time", *space) if self.time_varying else space

    @property
    def channels(self) -> int:
        """Channels of the torch view: frames x components, frame by frame."""
        return self.frames * self.width


@dataclass(frozen=True)
class Boundary:
    """The condition on one side of the domain.

    `kind` is one of periodic, wall, open, inflow, outflow, dirichlet, neumann, symmetry; a side
    about which nothing is said is ``unknown``.  `variables` () means all of them.  `value` is the
    prescribed value where it is one number.
    """

    axis: str
    side: Side
    kind: str
    variables: tuple[str, ...] = ()
    value: float | None = None


@dataclass(frozen=True)
class Schema:
    """The variables of a data set or of a learning task, with boundary and time step.

    Parameters
    ----------
    variables
        In the order of the channels.  A name may stand once per role; a parameter's name
        stands nowhere else, since tables and files hold both under it.
    boundary
        Conditions per side and variable; sides that are not named are unknown.
    dt
        Time between two frames in `time_unit`; None where it varies or is not known.
    feedback
        (target, input) names: which target becomes which input in a rollout.
    name
        Name of the data set.
    """

    variables: tuple[Variable, ...]
    boundary: tuple[Boundary, ...] = ()
    dt: float | None = None
    time_unit: str | None = None
    feedback: tuple[tuple[str, str], ...] = ()
    name: str = ""
    _by_role: dict[str, tuple[Variable, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        keys = [(v.name, v.role) for v in self.variables]
        double = {k for k in keys if keys.count(k) > 1}
        if double:
            raise SchemaError(f"variables stand twice in one role: {sorted(double)}")
        params = {v.name for v in self.variables if v.role == "param"}
        both = {v.name for v in self.variables if v.role != "param"} & params
        if both:
            raise SchemaError(f"both parameters and fields: {sorted(both)}; rename one of each")
        by_role = {r: tuple(v for v in self.variables if v.role == r) for r in ROLES}
        object.__setattr__(self, "_by_role", by_role)
        for target, source in self.feedback:
            new, old = self._one(target, ("target",)), self._one(source, ("input",))
            if new.components != old.components or new.domain != old.domain:
                raise SchemaError(
                    f"feedback {target!r} -> {source!r}: both must have one grid and one rank"
                )
        for b in self.boundary:
            axis = self.axis(b.axis)
            if b.kind == "periodic" and axis.periodic is False:
                raise SchemaError(f"axis {b.axis!r} is not periodic but its boundary is")

    def _one(self, name: str, roles: Sequence[str]) -> Variable:
        for role in roles:
            for v in self._by_role[role]:
                if v.name == name:
                    return v
        known = [v.name for r in roles for v in self._by_role[r]]
        raise NotFound(f"no variable {name!r} among {known}.{did_you_mean(name, known)}")

    def __getitem__(self, name: str) -> Variable:
        return self._one(name, ROLES)

    @property
    def states(self) -> tuple[Variable, ...]:
        """Variables that evolve in time."""
        return self._by_role["state"]

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """Variables of the input channels, in their order: inputs, forcing, geometry."""
        return self._by_role["input"] + self._by_role["forcing"] + self._by_role["geometry"]

    @property
    def targets(self) -> tuple[Variable, ...]:
        """Variables of the target channels."""
        return self._by_role["target"]

    @property
    def params(self) -> tuple[Variable, ...]:
        """Scalar parameters, in the order of the vector (P,)."""
        return self._by_role["param"]

    @property
    def input_channels(self) -> int:
        """Channels C of the input tensor (B, C, *N)."""
        return sum(v.channels for v in self.inputs)

    @property
    def target_channels(self) -> int:
        """Channels C' of the target tensor (B, C', *N')."""
        return sum(v.channels for v in self.targets)

    @property
    def input_domain(self) -> Domain:
        """The one domain on which all inputs are known."""
        return self._common(self.inputs, "inputs")

    @property
    def target_domain(self) -> Domain:
        """The one domain on which all targets are known."""
        return self._common(self.targets, "targets")

    def _common(self, variables: tuple[Variable, ...], what: str) -> Domain:
        domains = {v.name: v.domain for v in variables if v.domain is not None}
        if not domains:
            raise SchemaError(f"the schema {self.name!r} has no {what}")
        first = next(iter(domains.values()))
        if any(d != first for d in domains.values()):
            shapes = {k: d.shape for k, d in domains.items()}
            raise SchemaError(
                f"{what} lie on different grids {shapes}; choose variables of one grid"
            )
        return first

    def channel_slices(self, role: Literal["inputs", "targets"]) -> dict[str, slice]:
        """Where each variable stands in the channels: its name -> slice."""
        slices, start = {}, 0
        for v in getattr(self, role):
            slices[v.name] = slice(start, start + v.channels)
            start += v.channels
        return slices

    def axis(self, name: str) -> Axis:
        """The axis of that name, of the first grid that has it."""
        known: list[str] = []
        for v in self.variables:
            if isinstance(v.domain, Grid):
                for axis in v.domain.axes:
                    if axis.name == name:
                        return axis
                    known.append(axis.name)
        raise NotFound(f"no axis {name!r} among {sorted(set(known))}.{did_you_mean(name, known)}")

    def boundary_kind(self, axis: str, side: Side, variable: str | None = None) -> str:
        """The kind of condition on that side, ``unknown`` where nothing is known.

        A condition that names the variable goes before one for all variables.
        """
        here = [b for b in self.boundary if (b.axis, b.side) == (axis, side)]
        for b in here:
            if variable is not None and variable in b.variables:
                return b.kind
        for b in here:
            if not b.variables:
                return b.kind
        return "periodic" if self.axis(axis).periodic else "unknown"

    def wraps(self, axis: Axis) -> bool:
        """Whether fields go on from the last point of the axis to its first, another place.

        It, or the boundary on both its sides, is periodic; with points on both ends it does not.
        """
        around = all(self.boundary_kind(axis.name, side) == "periodic" for side in SIDES)
        ends = float(axis.coordinates[-1] - axis.coordinates[0])
        return bool(axis.periodic) or (around and ends < (1 - 1e-9) * axis.length)

    def moved(self, inputs: Domain, targets: Domain) -> Schema:
        """The same task on other grids (another resolution)."""
        target_like = {v.name for v in self.targets}
        variables = tuple(
            v if v.domain is None else replace(v, domain=targets if v.role == "target" else inputs)
            for v in self.variables
        )
        same = inputs == targets
        feedback = self.feedback if same or not target_like else ()
        return replace(self, variables=variables, feedback=feedback)

    def to_json(self) -> dict[str, Any]:
        """A tree of JSON types; grids are written once and referred to by number."""
        domains: list[Domain] = []
        variables = []
        for v in self.variables:
            entry = {k: getattr(v, k) for k in Variable.__dataclass_fields__ if k != "domain"}
            entry["domain"] = None
            if v.domain is not None:
                if v.domain not in domains:
                    domains.append(v.domain)
                entry["domain"] = domains.index(v.domain)
            variables.append(entry)
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "dt": self.dt,
            "time_unit": self.time_unit,
            "feedback": [list(pair) for pair in self.feedback],
            "boundary": [asdict(b) for b in self.boundary],
            "domains": [_domain_to_json(d) for d in domains],
            "variables": variables,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Schema:
        """The inverse of `to_json`."""
        if tree.get("schema_version") != SCHEMA_VERSION:
            found = tree.get("schema_version")
            raise SchemaError(f"schema_version must be {SCHEMA_VERSION}, got {found!r}")
        try:
            most = max(len(tree[k]) for k in ("domains", "variables", "boundary"))
            if most > MOST_ENTRIES:
                raise SchemaError(f"{most} grids, variables or conditions; at most {MOST_ENTRIES}")
            n = sum(int(a.get("n", 0)) for d in tree["domains"] for a in d.get("axes", ()))
            if n > MOST_POINTS:
                raise SchemaError(f"axes of {n} points; all together may have {MOST_POINTS}")
            domains = [_domain_from_json(d) for d in tree["domains"]]
            variables = []
            for v in map(_typed, tree["variables"]):
                domain = None if v["domain"] is None else domains[v["domain"]]
                lists = {
                    "components": _listed(v["components"], int),
                    "constant_along": _listed(v["constant_along"], str),
                }
                variables.append(Variable(**{**v, **lists, "domain": domain}))
            boundary = tuple(
                Boundary(**{**b, "variables": _listed(b["variables"], str)})
                for b in map(_typed, tree["boundary"])
            )
            _typed(tree)
            return cls(
                tuple(variables),
                boundary,
                tree["dt"],
                tree["time_unit"],
                tuple((t, i) for t, i in tree["feedback"]),
                tree["name"],
            )
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            if isinstance(error, SchemaError):
                raise
            raise SchemaError(f"not a schema: {type(error).__name__}: {error}") from None


def _typed(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tree itself; SchemaError where an entry is not of the type that its key asks for."""
    for key in tree.keys() & JSON_TYPES.keys():
        value, kinds = tree[key], JSON_TYPES[key]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            names = " or ".join(kind.__name__ for kind in JSON_TYPES[key])
            raise SchemaError(f"{key} must be {names}, got {value!r:.60}")
    return tree


def _listed(values: Any, kind: type) -> tuple[Any, ...]:
    """A list of names, or of positive numbers."""
    if not isinstance(values, (list, tuple)) or any(type(v) is not kind for v in values):
        raise SchemaError(f"expected a list of {kind.__name__}, got {values!r:.60}")
    if kind is int and any(v < 1 for v in values):
        raise SchemaError(f"components must be positive, got {values!r:.60}")
    return tuple(values)


def _domain_to_json(domain: Domain) -> dict[str, Any]:
    if isinstance(domain, Grid):
        return {"axes": [_axis_to_json(a) for a in domain.axes]}
    return {
        "points": domain.coordinates.tolist(),
        "cells": None if domain.cells is None else domain.cells.tolist(),
        "weights": None if domain.weights is None else domain.weights.tolist(),
    }


def _axis_to_json(axis: Axis) -> dict[str, Any]:
    """Uniform axes by their rule where it gives the very same numbers, others by their points."""
    tree = {k: getattr(axis, k) for k in ("name", "lower", "upper", "periodic", "unit")}
    if axis.spacing != "graded":
        points = uniform_points(axis.size, axis.lower, axis.upper, axis.spacing)
        if np.array_equal(points, axis.coordinates):
            return tree | {"n": axis.size, "spacing": axis.spacing}
    return tree | {"coordinates": axis.coordinates.tolist()}


def _axis_from_json(tree: Mapping[str, Any]) -> Axis:
    _typed(tree)
    if "coordinates" in tree:
        return Axis(**tree)
    return Axis.uniform(**tree)


def _domain_from_json(tree: Mapping[str, Any]) -> Domain:
    if "axes" in tree:
        return Grid(tuple(_axis_from_json(axis) for axis in tree["axes"]))
    return Points(tree["points"], tree["cells"], tree["weights"])
