"""Statistics of the training part: fitted streaming, stored as JSON beside data and model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Variable
from sciops.core.statistics import Statistics
from sciops.data import reader
from sciops.data.files import write_text
from sciops.data.source import FileSource
from sciops.data.stats import (
    INCREMENT,
    Collected,
    Running,
    Sets,
    frames_of,
    mask_for,
    of_number,
    valid_points,
)

if TYPE_CHECKING:
    from sciops.data.windows import Windows

BLOCK = 1 << 22  # numbers read at a time: 32 MiB in float64


def fit_statistics(windows: Windows) -> dict[str, Statistics]:
    """Statistics of every variable of the windows' trajectories, in one pass, in float64.

    Raises
    ------
    DataError
        If a value is NaN or infinite; the message says where.
    """
    collected = Collected()
    schema, source = windows.schema, FileSource(windows.layout)
    stride = windows.window.stride
    fields = {v.name: v for v in (*schema.inputs, *schema.targets)}.values()
    for sample in sorted(windows.samples):  # one order, one result
        for v in fields:
            values, change = _field(windows, source, v, sample, stride)
            collected.put(v.name, values)
            if change is not None:
                collected.put(v.name + INCREMENT, change)
        for v, value in zip(schema.params, windows.layout.params(sample), strict=True):
            collected.put(v.name, of_number(value))
    return {k: Sets.stack(sets).result() for k, sets in collected.sets.items()}


def _field(
    windows: Windows, source: FileSource, v: Variable, sample: int, stride: int
) -> tuple[Sets, Sets | None]:
    """Moments of a variable of one trajectory, and of its change over one stride."""
    from sciops.data.windows import require_finite

    assert v.domain is not None
    running = Running(stride if v.time_varying else None)
    mask = mask_for(source, v)
    n = int(windows.layout.lengths[sample]) if v.time_varying else 1
    step = max(BLOCK // (int(np.prod(v.domain.shape)) * v.width), 1)
    for begin in range(0, n, step):
        frames = slice(begin, min(begin + step, n))
        block = reader.read(windows.layout, v.name, sample, frames)
        require_finite(windows.layout, v, sample, block)
        running.add(frames_of(block, v), valid_points(source, mask, sample, frames))
    return running.joined()


def write_statistics(
    path: Path,
    statistics: Mapping[str, Statistics],
    fitted_on: str,
    parts: Mapping[str, Mapping[str, Statistics]] | None = None,
) -> None:
    """Write ``stats.json``.

    Parameters
    ----------
    statistics
        Of the training part, for the normalisation.
    fitted_on
        Which part that is: the hash of a split.
    parts
        Part name -> statistics of the others, for comparison.
    """
    tree = {"fitted_on": fitted_on, "variables": {k: s.to_json() for k, s in statistics.items()}}
    if parts:
        tree["parts"] = {
            name: {k: s.to_json() for k, s in found.items()} for name, found in parts.items()
        }
    write_text(path, json.dumps(tree, indent=1))


def read_statistics(path: Path) -> tuple[dict[str, Statistics], str]:
    """(statistics, what they were fitted on) of a ``stats.json``."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        found = {str(k): Statistics.from_json(s) for k, s in tree["variables"].items()}
        fitted_on = str(tree["fitted_on"])
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise DataError(
            path, f"not a file of statistics ({error}); remove it to fit them anew"
        ) from None
    for name, s in found.items():
        shapes = {a.shape for a in (s.mean, s.std, s.rms, s.min, s.max)}
        if len(shapes) != 1 or s.mean.ndim != 1:
            raise DataError(
                path, f"{name!r} must have one number a component, got the shapes {shapes}"
            )
    return found, fitted_on
