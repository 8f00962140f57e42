"""A data set from arrays in memory: the way in for those who have arrays of this shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from sciops.core.errors import SchemaError
from sciops.core.schema import (
    Axis,
    Boundary,
    Domain,
    Grid,
    Location,
    Points,
    Role,
    Schema,
    Variable,
)
from sciops.data.formats._well import uniform_step
from sciops.data.layout import COMPONENTS, Layout, Part, Stored


def from_arrays(
    axes: Mapping[str, tuple[float, float]] | Sequence[Axis] | Points,
    inputs: Mapping[str, ArrayLike] | None = None,
    targets: Mapping[str, ArrayLike] | None = None,
    states: Mapping[str, ArrayLike] | None = None,
    params: Mapping[str, ArrayLike] | None = None,
    times: ArrayLike | None = None,
    boundary: Sequence[Boundary] = (),
    name: str = "arrays",
    geometry: Mapping[str, ArrayLike] | None = None,
) -> Layout:
    """Describe arrays in memory as a data set.

    Parameters
    ----------
    axes
        In the order of the arrays' axes: name -> (lower, upper) for cell centres of equal cells,
        or `Axis` objects.  For fields on the nodes of a mesh, the `Points`.
    inputs, targets
        Name -> (n, *N[, *components]): a map from fields to fields; *N is (M,) on M nodes.
    states
        Name -> (n, T, *N[, *components]): fields that evolve.
    params
        Name -> (n,): numbers, one a sample.
    times
        (T,) or (n, T) times of the frames of `states`.
    boundary, name
        Conditions on the sides of the domain; name of the data set.
    geometry
        Name -> (n, *N): masks, obstacles; ``mask`` is true where the fields mean something.

    Returns
    -------
    Layout
        For `Windows`, and for `sciops.data.xarray_backend.as_dataset`.

    Raises
    ------
    SchemaError
        If an array does not have the shape that the axes and the others give it.
    """
    given = [
        ("input", inputs), ("target", targets), ("state", states), ("geometry", geometry)
    ]  # fmt: skip
    fields = [(role, k, np.asarray(a)) for role, group in given for k, a in (group or {}).items()]
    if not fields:
        raise SchemaError("no arrays: give inputs and targets, or states")
    domain = axes if isinstance(axes, Points) else _grid(axes, fields[0])
    n = len(np.atleast_1d(fields[0][2]))
    variables, arrays = [], {}
    for role, key, array in fields:
        variable, stored = _field(key, array, role, domain, n)  # type: ignore[arg-type]
        variables.append(variable)
        arrays[key] = (stored,)
    values = {k: np.asarray(v, dtype=np.float64) for k, v in (params or {}).items()}
    variables += [Variable(k, role="param") for k in values]
    lengths = {a.shape[1] for role, _, a in fields if role == "state"}
    if len(lengths) > 1:
        raise SchemaError(f"states have different numbers of frames: {sorted(lengths)}")
    frames = lengths.pop() if lengths else 1
    moments = None if times is None else np.asarray(times, dtype=np.float64)
    dt = None if moments is None else uniform_step(moments)
    part = Part(name, n, np.full(n, frames), arrays, moments, values)
    schema = Schema(tuple(variables), tuple(boundary), dt, name=name)
    provenance = dict.fromkeys(values, "argument")
    return Layout(schema, (part,), "arrays", "given as arrays", (), {}, provenance)


def _grid(
    axes: Mapping[str, tuple[float, float]] | Sequence[Axis], first: tuple[str, str, np.ndarray]
) -> Grid:
    role, key, array = first
    if not isinstance(axes, Mapping):
        return Grid(tuple(axes))
    begin = 2 if role == "state" else 1
    sizes = array.shape[begin : begin + len(axes)]
    if len(sizes) != len(axes):
        raise SchemaError(f"{key!r} has the shape {array.shape}, but {len(axes)} axes {list(axes)}")
    return Grid(
        tuple(
            Axis.uniform(k, n, lower, upper)
            for (k, (lower, upper)), n in zip(axes.items(), sizes, strict=True)
        )
    )


def _field(
    key: str, array: np.ndarray, role: Role, domain: Domain, n: int
) -> tuple[Variable, Stored]:
    lead = ("sample", "time") if role == "state" else ("sample",)
    after = len(lead) + len(domain.shape)
    components, there = array.shape[after:], array.shape[len(lead) : after]
    if not array.ndim or len(array) != n or there != domain.shape or len(components) > 2:
        expected = "(n, T, " if role == "state" else "(n, "
        raise SchemaError(
            f"{key!r}: expected {expected}{', '.join(map(str, domain.shape))}[, components]) with "
            f"n = {n}, got {array.shape}"
        )
    named = (*lead, *domain.names, *COMPONENTS[: len(components)])
    stored = Stored("", "memory", key, named, array.shape, array.dtype.str, array=array)
    location: Location | None = "node" if isinstance(domain, Points) else None
    variable = Variable(
        key, domain, role, tuple(components), None, None, location, time_varying=role == "state"
    )
    return variable, stored
