"""Writing our own format: one HDF5 file in The Well's layout, and its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Schema
from sciops.data.files import replacing, require_new, write_manifest
from sciops.data.formats import _well


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
        Variables, grid, boundary.  All fields lie on one grid.
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
    with replacing(path) as temporary:
        _well.write_file(temporary, schema, fields, params, dict(attributes or {}), times)
    arrays = {**fields, **params}
    write_manifest(path, {k: sha256_of(a) for k, a in arrays.items()})
    return path


def sha256_of(array: NDArray[Any]) -> str:
    """SHA-256 of an array's bytes in C order, one sample at a time."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    for row in array:
        digest.update(np.ascontiguousarray(row).tobytes())
    return digest.hexdigest()


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
