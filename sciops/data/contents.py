"""Files that say themselves what they hold: everything that sciops writes can be read back exactly.

Beside the arrays, whatever the container, stands one array of bytes named ``sciops_contents``:
JSON text (UTF-8) that gives the schema and says which array is what,

    {"version": 1, "schema": .., "attributes": .., "provenance": .., "notes": ..,
     "parts": [{"n_samples": 3, "subset": null, "times": key, "lengths": key,
                "params": {name: key}, "arrays": {name: [{"key", "axes", "fixed", "take"}]}}]}

so names, grids, units, boundary, roles and integer, boolean and complex types survive formats that
have no place for them.  Points of unstructured grids stand in arrays of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError, SciopsError
from sciops.core.schema import Schema, Variable
from sciops.data import budget, containers, reader
from sciops.data.damage import DAMAGE, said, structure
from sciops.data.hdf5 import is_hdf5, opened
from sciops.data.layout import COMPONENTS, Layout, Part, Stored

KEY = "sciops_contents"
LARGEST = 1 << 26  # bytes of coordinates, times, or all parameters
TEXT = 1 << 24  # bytes of the text; parsed, it may take thirty times as much
MOST_SAMPLES = 1 << 24
POINTS = ("coordinates", "cells", "weights")
TAKES = (None, "real", "imag", "bool")


def carried(path: Path) -> bool:
    """Whether a file or store says itself what it holds."""
    if is_hdf5(path):
        with opened(path) as file:
            return KEY in file
    name = containers.container(path)
    if name not in ("npz", "torch", "zarr"):
        return False
    return KEY in containers.arrays(path)


def text(
    schema: Schema,
    parts: Sequence[Mapping[str, Any]],
    attributes: Mapping[str, str],
    provenance: Mapping[str, str],
    notes: Sequence[str],
) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    """(the bytes of the array `KEY`, arrays of points to be written under their keys)."""
    tree = schema.to_json()
    points = {}
    for k, domain in enumerate(tree["domains"]):
        if "points" in domain:
            whole = dict(
                zip(POINTS, (domain["points"], domain["cells"], domain["weights"]), strict=True)
            )
            keys = {}
            for kind, values in whole.items():
                if values is not None:
                    keys[kind] = f"sciops_points_{k}_{kind}"
                    points[keys[kind]] = np.array(values)
            tree["domains"][k] = {"stored": keys}
    whole = {
        "version": 1,
        "schema": tree,
        "attributes": dict(attributes),
        "provenance": dict(provenance),
        "notes": list(notes),
        "parts": list(parts),
    }
    return np.frombuffer(json.dumps(whole).encode(), dtype=np.uint8), points


def read(path: Path, format: str, reason: str) -> Layout:
    """The layout that a file describes.

    Raises
    ------
    DataError
        If the description is damaged, or does not fit the arrays.
    """
    found = containers.arrays(path)
    tree = _tree(path, found)
    try:
        schema = Schema.from_json(_with_points(path, tree["schema"], found))
        parts = tuple(_part(path, k, schema, part, found) for k, part in enumerate(tree["parts"]))
        words = {
            k: {str(a): str(b) for a, b in tree[k].items()} for k in ("attributes", "provenance")
        }
        notes = tuple(str(n) for n in tree["notes"])
        return Layout(
            schema, parts, format, reason, notes, words["attributes"], words["provenance"]
        )
    except DataError:
        raise
    except DAMAGE as error:
        text = str(error) if isinstance(error, SciopsError) else said(error)
        raise DataError(path, f"{KEY} does not fit the file ({text:.500})") from None


def small(path: Path, stored: Stored, most: int = LARGEST) -> NDArray[Any]:
    """All of a small array: coordinates, times, parameters; refused above so many bytes."""
    size = int(np.prod(stored.shape, dtype=object)) * np.dtype(stored.dtype).itemsize
    if size > most:
        raise DataError(
            path,
            f"{stored.key} should be a small list, but has the shape {stored.shape} "
            f"({budget.readable(size)})",
        )
    with structure(path):
        return np.array(reader.source(stored)[...])


def _tree(path: Path, found: Mapping[str, Stored]) -> dict[str, Any]:
    if KEY not in found:
        raise DataError(path, f"has no array {KEY}; it was not written by sciops")
    try:
        tree = json.loads(small(path, found[KEY], TEXT).astype(np.uint8).tobytes().decode())
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(path, f"{KEY} is not JSON ({error})") from None
    if not isinstance(tree, dict) or tree.get("version") != 1:
        raise DataError(path, f"{KEY} is not of version 1; a newer sciops may read it")
    if not isinstance(tree.get("parts"), list) or not tree["parts"]:
        raise DataError(path, f"{KEY} lists no parts; expected at least one")
    return tree


def _with_points(path: Path, tree: dict[str, Any], found: Mapping[str, Stored]) -> dict[str, Any]:
    domains = []
    for domain in tree["domains"]:
        if "stored" in domain:
            keys = domain["stored"]
            values = {k: small(path, found[keys[k]]) if k in keys else None for k in POINTS}
            domain = {"points": values["coordinates"], **{k: values[k] for k in POINTS[1:]}}
        domains.append(domain)
    return {**tree, "domains": domains}


def _part(
    path: Path, number: int, schema: Schema, tree: Mapping[str, Any], found: Mapping[str, Stored]
) -> Part:
    def numbers(key: str | None) -> NDArray[Any] | None:
        return None if key is None else small(path, found[key])

    n, frames = (_count(tree, key) for key in ("n_samples", "frames"))
    if n > MOST_SAMPLES or n * len(schema.params) * 8 > LARGEST:
        raise ValueError(f"{n} samples of {len(schema.params)} parameters are too many")
    times, lengths = numbers(tree["times"]), numbers(tree["lengths"])
    if lengths is not None and (lengths.dtype.kind not in "iu" or not (lengths > 0).all()):
        raise ValueError("lengths must be numbers of frames")
    if times is not None and times.shape[:-1] not in ((), (n,)):
        raise ValueError(f"times must be (T,) or ({n}, T), got {times.shape}")
    arrays = {
        v.name: _components(v, [_stored(found, entry) for entry in tree["arrays"][v.name]])
        for v in schema.variables
        if v.role != "param"
    }
    params = {}
    for v in schema.params:
        values = np.asarray(numbers(tree["params"][v.name]), dtype=np.float64).reshape(-1)
        params[v.name] = np.broadcast_to(values, (n,)).copy() if len(values) == 1 else values
    return Part(
        str(path) if number == 0 and tree.get("name") is None else f"{path}:/{tree.get('name')}",
        n,
        np.full(n, frames) if lengths is None else lengths.astype(np.int64),
        arrays,
        None if times is None else np.asarray(times, dtype=np.float64),
        params,
        None if tree.get("subset") is None else str(tree["subset"]),
    )


def _count(tree: Mapping[str, Any], key: str) -> int:
    if type(tree[key]) is not int or tree[key] < 1:
        raise ValueError(f"{key} must be a positive whole number, got {tree[key]!r:.60}")
    return int(tree[key])


def _components(v: Variable, stored: list[Stored]) -> tuple[Stored, ...]:
    """One array with the axes of the components, or one array a component."""
    named = [tuple(a for a in COMPONENTS if a in s.index[3]) for s in stored]
    whole = len(stored) == 1 and named[0] == COMPONENTS[: v.rank]
    if not whole and (len(stored) != v.width or any(named)):
        raise ValueError(f"{v.name!r:.60} has {v.components} components in {len(stored)} arrays")
    return tuple(stored)


def _stored(found: Mapping[str, Stored], entry: Mapping[str, Any]) -> Stored:
    if entry.get("take") not in TAKES:
        raise ValueError(f"take must be one of {TAKES}, got {entry['take']!r:.60}")
    return replace(
        found[entry["key"]],
        axes=tuple(str(a) for a in entry["axes"]),
        fixed=tuple((int(k), int(i)) for k, i in entry.get("fixed", ())),
        take=entry.get("take"),
    )
