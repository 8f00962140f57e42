"""netCDF that sciops exported: the global attribute ``sciops_schema`` is its schema as JSON.

    fields       dimensions named as in the labelled view (`sciops.data.xarray_backend.dimensions`)
    parameters   on (sample)
    time         (time), or physical_time (sample, time); length (sample) of ragged trajectories
    booleans     int8 with the attribute dtype = "bool"

Nothing is derived from names, units or coordinates here: they stand in the schema.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Schema, Variable
from sciops.data.formats import _netcdf
from sciops.data.formats._netcdf import File
from sciops.data.layout import COMPONENTS, Layout, Part, Stored

ATTRIBUTE = "sciops_schema"
OWN = (ATTRIBUTE, "sciops_format", "sciops_reason", "notes", "boundary", "name")


def layout(file: File, format: str, reason: str) -> Layout:
    """The layout that the schema describes; DataError where a variable is missing or differs."""
    try:
        tree = json.loads(_netcdf.hdf5.text(file.attrs[ATTRIBUTE]))
    except (ValueError, RecursionError) as error:
        raise DataError(file.path, f"{ATTRIBUTE} is not JSON ({error})") from None
    if not isinstance(tree, dict):
        raise DataError(file.path, f"{ATTRIBUTE} must be an object, got {type(tree).__name__}")
    schema = Schema.from_json(tree)
    n = file.sizes.get("sample", 1)
    arrays = {v.name: (_stored(file, v, schema),) for v in schema.variables if v.role != "param"}
    moving = any(v.time_varying for v in schema.variables)
    frames = file.sizes.get("time", 1) if moving else 1
    lengths = np.full(n, frames)
    if moving and "length" in file.variables:
        lengths = _numbers(file, "length", (n,)).astype(np.int64)
        if lengths.min() < 1:
            raise DataError(file.path, f"length must be at least 1, got {lengths.min()}")
    times = None
    for name, shape in (("physical_time", (n, frames)), ("time", (frames,))):
        if moving and times is None and name in file.variables:
            times = _numbers(file, name, shape)
    params = {v.name: _numbers(file, v.name, (n,)) for v in schema.params}
    known = {v.name: file.variables[v.name].word("provenance") for v in schema.params}
    words = {k: found for k in file.attrs if (found := _netcdf.word(file.attrs, k))}
    return Layout(
        schema,
        (Part(str(file.path), n, lengths, arrays, times, params),),
        format,
        reason,
        (),
        {k: v for k, v in words.items() if k not in OWN},
        {k: v for k, v in known.items() if v},
    )


def _stored(file: File, v: Variable, schema: Schema) -> Stored:
    from sciops.data.xarray_backend import dimensions

    assert v.domain is not None
    time = ("time",) if v.time_varying else ()
    meaning = ("sample", *time, *v.domain.names, *COMPONENTS[: v.rank])
    named = dict(zip(dimensions(v, schema), meaning, strict=True))
    raw = file.variables.get(v.name)
    if raw is None or raw.stored is None or set(raw.dims) != set(named):
        raise DataError(
            file.path,
            f"{ATTRIBUTE} describes {v.name!r} on {tuple(named)}, the file has "
            f"{raw.dims if raw is not None else 'no such variable'}",
        )
    stored = _netcdf.decoded(file.path, v.name, raw)
    return replace(stored, axes=tuple(named[d] for d in raw.dims))


def _numbers(file: File, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    raw = file.variables.get(name)
    if raw is None or raw.stored is None or raw.stored.shape != shape:
        raise DataError(file.path, f"expected the variable {name} with the shape {shape}")
    return file.numbers(name)
