"""Writing arrays in our own format: one HDF5 file in The Well's layout, and its manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Schema
from sciops.data.convert import convert, discard
from sciops.data.files import require_new
from sciops.data.formats._well import uniform_step
from sciops.data.layout import COMPONENTS, Layout, Part, Stored
from sciops.data.source import FileSource


def write_dataset(
    path: str | Path,
    schema: Schema,
    fields: Mapping[str, NDArray[Any]],
    params: Mapping[str, NDArray[np.float64]] | None = None,
    attributes: Mapping[str, str] | None = None,
    times: NDArray[np.float64] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a data set in the format ``sciops``.

    Parameters
    ----------
    path
        The file; ``.hdf5`` by habit.
    schema
        Variables, grid, boundary.
    fields
        Name -> (n, [T,] *N[, *components]) for every variable but the parameters.
    params
        Name -> (n,).
    attributes
        Text attributes of the file: source, licence, recipe.
    times
        (T,) or (n, T), where variables vary in time.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file, beside which ``<name>.manifest.json`` now stands.

    Raises
    ------
    SchemaError
        If an array is missing or has another shape than the schema says.
    DataError
        If the file exists, or its folder does not.
    """
    path = Path(path)
    require_new(path, overwrite)
    fields, params = dict(fields), dict(params or {})
    _check(schema, fields, params, times)
    n = len(next(iter(fields.values())))
    frames = 1 if times is None else int(times.shape[-1])
    arrays = {}
    for v in schema.variables:
        if v.role != "param":
            assert v.domain is not None
            lead = ("sample", "time") if v.time_varying else ("sample",)
            axes = (*lead, *v.domain.names, *COMPONENTS[: v.rank])
            a = fields[v.name]
            arrays[v.name] = (Stored("", "memory", v.name, axes, a.shape, a.dtype.str, array=a),)
    if schema.dt is None and times is not None:
        schema = replace(schema, dt=uniform_step(times))
    part = Part(schema.name, n, np.full(n, frames), arrays, times, params)
    layout = Layout(schema, (part,), "arrays", "in memory", (), dict(attributes or {}))
    try:
        convert(_InMemory(layout), path, overwrite=overwrite)
    except BaseException:
        discard(path)
        raise
    return path


class _InMemory(FileSource):
    """Arrays that are gone after a kill: writing them is never resumed."""

    def fingerprint(self) -> str:
        """See `Source`."""
        return os.urandom(16).hex()


def _check(
    schema: Schema,
    fields: Mapping[str, NDArray[Any]],
    params: Mapping[str, NDArray[np.float64]],
    times: NDArray[np.float64] | None,
) -> None:
    names = {v.name for v in schema.variables if v.role != "param"}
    if names != set(fields) or {v.name for v in schema.params} != set(params):
        raise SchemaError(
            f"the schema names fields {sorted(names)} and parameters "
            f"{[v.name for v in schema.params]}, got {sorted(fields)} and {sorted(params)}"
        )
    n = len(next(iter(fields.values())))
    for v in schema.variables:
        if v.role == "param":
            expected: tuple[int, ...] = (n,)
            got = params[v.name].shape
        else:
            assert v.domain is not None
            if v.time_varying and times is None:
                raise SchemaError(f"{v.name!r} varies in time; give `times`")
            steps = (int(times.shape[-1]),) if v.time_varying and times is not None else ()
            expected = (n, *steps, *v.domain.shape, *v.components)
            got = fields[v.name].shape
        if got != expected:
            raise SchemaError(f"{v.name!r}: expected the shape {expected}, got {got}")
