"""A data set as a tree of JSON types: all that is known of it, and what is missing."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sciops.core.errors import SciopsError
from sciops.core.schema import SIDES, Boundary, Grid
from sciops.data.checks.boundary import kinds
from sciops.data.checks.coordinates import space_axes
from sciops.data.cost import stored_bytes, window_cost
from sciops.data.files import sidecar
from sciops.data.layout import Layout, Stored
from sciops.data.normalise import read_statistics
from sciops.data.split import Split

SIDECARS = ("splits", "stats", "manifest")


def tree(layout: Layout, path: str | Path | None = None, measure: bool = True) -> dict[str, Any]:
    """The description of a data set.

    Parameters
    ----------
    layout
        The data set.
    path
        Where it was opened, beside which its sidecars stand; None: the file, or the folder that
        holds all its files.
    measure
        Whether a few windows are read and timed.
    """
    root = where(layout) if path is None else Path(path)
    lengths = layout.lengths
    values, on_disk = stored_bytes(layout)
    beside = {} if root is None else _sidecars(root)
    return {
        "format": layout.format,
        "reason": layout.reason,
        "name": layout.schema.name,
        "samples": layout.n_samples,
        "frames": {"min": int(lengths.min()), "max": int(lengths.max())},
        "dt": layout.schema.dt,
        "time_unit": layout.schema.time_unit,
        "files": layout.paths,
        "bytes": {"values": values, "files": on_disk},
        "variables": [_variable(layout, v.name) for v in layout.schema.variables if v.domain],
        "axes": _axes(layout),
        "parameters": {
            v.name: {
                "unit": v.unit,
                "values": _range(layout, v.name),
                "from": layout.provenance.get(v.name, "unknown"),
            }
            for v in layout.schema.params
        },
        "boundary": [asdict(b) for b in _boundary(layout)],
        "subsets": {k: len(v) for k, v in layout.subsets().items()},
        "sidecars": beside,
        "missing": missing(layout, beside),
        "window": _window(layout) if measure else None,
        "notes": list(layout.notes),
        "attributes": dict(layout.attributes),
    }


def where(layout: Layout) -> Path | None:
    """The one file of a data set, else the folder that holds all of them."""
    paths = layout.paths
    if not paths:
        return None
    return Path(paths[0]) if len(paths) == 1 else Path(os.path.commonpath(paths))


def missing(layout: Layout, beside: dict[str, Any]) -> list[str]:
    """What nobody can know from the files."""
    schema = layout.schema
    out = []
    without = [v.name for v in schema.variables if v.unit is None]
    if without:
        out.append(f"units of {', '.join(without)}")
    unknown = [a.name for a in space_axes(layout) if "unknown" in kinds(schema, a.name)]
    if unknown:
        out.append(f"boundary along {', '.join(dict.fromkeys(unknown))}")
    located = [v.name for v in schema.variables if v.domain and v.location is None]
    if located:
        out.append(f"location (cell or node) of {', '.join(located)}")
    if any(v.time_varying for v in schema.variables) and any(
        p.times is None or np.isnan(p.times).all() for p in layout.parts
    ):
        out.append("times of the frames")
    if not layout.subsets() and "splits" not in beside:
        out.append("a split (sciops data split writes one)")
    if "stats" not in beside:
        out.append("statistics (sciops data stats --write)")
    return out


def _boundary(layout: Layout) -> list[Boundary]:
    """The conditions; for axes of which nothing is said but that they are periodic, that."""
    stated = list(layout.schema.boundary)
    named = {b.axis for b in stated}
    silent = dict.fromkeys(a.name for a in space_axes(layout) if a.periodic and a.name not in named)
    return stated + [Boundary(name, side, "periodic") for name in silent for side in SIDES]


def _sidecars(root: Path) -> dict[str, Any]:
    """What stands in the sidecars that are there."""
    found: dict[str, Any] = {}
    for kind in SIDECARS:
        path = sidecar(root, kind)
        if not path.is_file():
            continue
        try:
            found[kind] = {"file": str(path)} | _contents(kind, path)
        except SciopsError as error:
            found[kind] = {"file": str(path), "damaged": str(error)}
    return found


def _contents(kind: str, path: Path) -> dict[str, Any]:
    if kind == "splits":
        split = Split.read(path)
        sizes = {k: len(ids) for k, ids in split.parts.items()}
        return {"rule": split.rule, "seed": split.seed, "hash": split.hash, "parts": sizes}
    if kind == "stats":
        statistics, fitted_on = read_statistics(path)
        return {
            "fitted_on": fitted_on,
            "variables": {k: s.to_json() for k, s in statistics.items()},
        }
    return {}


def _window(layout: Layout) -> dict[str, Any]:
    cost = window_cost(layout)
    if cost.message:
        return {"frames": cost.frames, "unreadable": cost.message}
    return {
        "frames": cost.frames,
        "milliseconds": round(cost.milliseconds, 3),
        "bytes_used": cost.used,
        "bytes_read": cost.read,
        "in_memory": cost.in_memory,
        "advice": cost.advice,
    }


def _variable(layout: Layout, name: str) -> dict[str, Any]:
    from sciops.data.xarray_backend import dimensions

    v = layout.schema[name]
    stored = layout.parts[0].arrays[name]
    return {
        "name": name,
        "role": v.role,
        "dimensions": list(dimensions(v, layout.schema)),
        "shape": [*v.domain.shape, *v.components] if v.domain else [],
        "dtype": stored[0].values_dtype.str.lstrip("<>|="),
        "unit": v.unit,
        "location": v.location,
        "symmetry": v.symmetry,
        "stored": "; ".join(_storage(s) for s in stored),
    }


def _storage(s: Stored) -> str:
    sizes = ", ".join(f"{a or '-'} {n}" for a, n in zip(s.axes, s.shape, strict=True))
    how = "contiguous" if s.chunks is None else f"chunks {s.chunks}"
    return f"{s.key} ({sizes}), {how}" + (f", {' + '.join(s.filters)}" if s.filters else "")


def _axes(layout: Layout) -> list[str]:
    axes: dict[str, None] = {}
    for v in layout.schema.variables:
        if isinstance(v.domain, Grid):
            axes |= dict.fromkeys(repr(a) for a in v.domain.axes)
        elif v.domain is not None:
            axes[f"node[{v.domain.shape[0]} points in {v.domain.dimension}-D]"] = None
    return list(axes)


def _range(layout: Layout, name: str) -> str:
    values = np.unique(np.concatenate([p.params[name] for p in layout.parts]))
    if len(values) <= 4:
        return ", ".join(f"{v:g}" for v in values)
    return f"{values[0]:g} .. {values[-1]:g}, {len(values)} values"
