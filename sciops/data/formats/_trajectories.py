"""Data sets of many files or groups: what each holds, joined to one layout.

All files must have the same variables on the same grid.  A parameter that some of them lack is
left out, with a note; the time step is given where it is one and the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Boundary, Schema, Variable
from sciops.data.formats._structure import structure
from sciops.data.formats._well import UNIFORM, uniform_step
from sciops.data.layout import Layout, Part


@dataclass(frozen=True)
class Content:
    """What one file holds.

    `variables` are those that are not parameters; `provenance` and `units` belong to parameters.
    """

    path: Path
    variables: tuple[Variable, ...]
    parts: tuple[Part, ...]
    boundary: tuple[Boundary, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


def joined(path: Path, contents: Sequence[Content], format: str, reason: str) -> Layout:
    """The layout of all files; DataError at the first that does not fit to those before it."""
    if not contents:
        raise DataError(path, "a folder without HDF5 files; expected at least one")
    first = contents[0]
    for other in contents[1:]:
        if (other.variables, other.boundary) != (first.variables, first.boundary):
            raise DataError(
                other.path,
                f"its variables, grid or boundary differ from those of {first.path.name}; "
                f"open files of one kind together",
            )
    parts = [p for c in contents for p in c.parts]
    everywhere = [k for k in parts[0].params if all(k in p.params for p in parts)]
    dropped = sorted({k for p in parts for k in p.params} - set(everywhere))
    notes = [note for c in contents for note in c.notes]
    if dropped:
        notes.append(f"parameters that only some of the files have are left out: {dropped}")
    units = first.units
    with structure(path):
        schema = Schema(
            (*first.variables, *(Variable(k, role="param", unit=units.get(k)) for k in everywhere)),
            first.boundary,
            _step(parts),
            name=path.stem,
        )
        return Layout(
            schema,
            tuple(replace(p, params={k: p.params[k] for k in everywhere}) for p in parts),
            format,
            reason,
            tuple(dict.fromkeys(notes)),
            first.attributes,
            {k: first.provenance[k] for k in everywhere},
        )


def _step(parts: Sequence[Part]) -> float | None:
    """The time step of all parts, None where it varies or is not known anywhere."""
    steps = [None if p.times is None else uniform_step(p.times) for p in parts]
    known = [s for s in steps if s is not None]
    if len(known) < len(steps):
        return None
    mean = float(np.mean(known))
    return mean if max(known) - min(known) <= UNIFORM * mean else None
