"""A data set in words: what ``sciops data inspect`` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from sciops.core.schema import Grid
from sciops.data.layout import Layout, Stored
from sciops.data.xarray_backend import dimensions

LONGEST = 500  # characters of an attribute that are shown


def tree(layout: Layout) -> dict[str, Any]:
    """The description as JSON types."""
    lengths = layout.lengths
    return {
        "format": layout.format,
        "reason": layout.reason,
        "name": layout.schema.name,
        "samples": layout.n_samples,
        "frames": {"min": int(lengths.min()), "max": int(lengths.max())},
        "dt": layout.schema.dt,
        "files": layout.paths,
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
        "boundary": [asdict(b) for b in layout.schema.boundary],
        "subsets": {k: len(v) for k, v in layout.subsets().items()},
        "notes": list(layout.notes),
        "attributes": dict(layout.attributes),
    }


def describe(layout: Layout) -> str:
    """The description as text, in the manner of ncdump -h."""
    t = tree(layout)
    lines = [f"{t['name']}: format {t['format']} ({t['reason']})"]
    frames = t["frames"]
    span = (
        f"{frames['min']}"
        if frames["min"] == frames["max"]
        else f"{frames['min']}..{frames['max']}"
    )
    dt = f", dt = {t['dt']:g}" if t["dt"] is not None else ""
    lines.append(f"  {t['samples']} samples, {span} frame(s) each{dt}, {len(t['files'])} file(s)")
    if t["subsets"]:
        lines.append("  subsets: " + ", ".join(f"{k} {n}" for k, n in t["subsets"].items()))
    lines.append("axes:")
    lines += [f"  {axis}" for axis in t["axes"]]
    lines.append("variables:")
    for v in t["variables"]:
        known = ", ".join(f"{k} {v[k]}" for k in ("unit", "location", "symmetry") if v[k])
        lines.append(
            f"  {v['dtype']} {v['name']}({', '.join(v['dimensions'])})  {v['role']}"
            + (f", {known}" if known else "")
        )
        lines.append(f"      stored {v['stored']}")
    if t["parameters"]:
        lines.append("parameters:")
        lines += [f"  {k} = {p['values']}  (from: {p['from']})" for k, p in t["parameters"].items()]
    lines.append("boundary:")
    lines += [
        f"  {b['axis']} {b['side']}: {b['kind']}"
        + (f" = {b['value']:g}" if b["value"] is not None else "")
        + (f" of {', '.join(b['variables'])}" if b["variables"] else "")
        for b in t["boundary"]
    ]
    if not t["boundary"]:
        lines.append("  unknown: the file does not say")
    if t["notes"]:
        lines.append("notes:")
        lines += [f"  {note}" for note in t["notes"]]
    if t["attributes"]:
        lines.append("attributes:")
        lines += [f"  {k} = {_short(v)}" for k, v in t["attributes"].items()]
    return "\n".join(lines)


def _variable(layout: Layout, name: str) -> dict[str, Any]:
    v = layout.schema[name]
    stored = layout.parts[0].arrays[name]
    return {
        "name": name,
        "role": v.role,
        "dimensions": list(dimensions(v, layout.schema)),
        "dtype": stored[0].dtype.lstrip("<>|="),
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


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} .. ({len(text)} characters)"
