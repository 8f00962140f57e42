"""Statistics of the training part: fitted streaming, stored as JSON beside data and model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Variable
from sciops.core.statistics import Moments, Statistics
from sciops.data import reader
from sciops.data.files import write_text

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
    found: dict[str, Statistics] = {}
    schema = windows.schema
    for v in {v.name: v for v in (*schema.inputs, *schema.targets)}.values():
        values, change = _field(windows, v)
        found[v.name] = values.result()
        if change.count:
            found[f"{v.name}.increment"] = change.result()
    params = np.array([windows.layout.params(s) for s in windows.samples])
    for k, v in enumerate(schema.params):
        moments = Moments(1)
        moments.update(params[:, k : k + 1])
        found[v.name] = moments.result()
    return found


def _field(windows: Windows, v: Variable) -> tuple[Moments, Moments]:
    """Moments of a variable and of its change over one stride."""
    from sciops.data.windows import require_finite

    values, change = Moments(v.width), Moments(v.width)
    stride = windows.window.stride
    assert v.domain is not None
    points = int(np.prod(v.domain.shape)) * v.width
    for sample in windows.samples:
        if not v.time_varying:
            block = reader.read(windows.layout, v.name, sample)
            require_finite(windows.layout, v, sample, block)
            values.update(_rows(block, v))
            continue
        n = int(windows.layout.lengths[sample])
        step = max(BLOCK // points, 1)
        for begin in range(0, n, step):
            end = min(begin + step, n)
            block = reader.read(windows.layout, v.name, sample, slice(begin, min(end + stride, n)))
            require_finite(windows.layout, v, sample, block)
            values.update(_rows(block[: end - begin], v))
            change.update(_rows(block[stride:].astype(np.float64) - block[:-stride], v))
    return values, change


def _rows(block: NDArray[Any], v: Variable) -> NDArray[Any]:
    """(.., *components) -> (rows, c)."""
    return np.asarray(block).reshape(-1, v.width)


def write_statistics(path: Path, statistics: Mapping[str, Statistics], fitted_on: str) -> None:
    """Write ``stats.json``; `fitted_on` says which part they belong to (the hash of a split)."""
    tree = {"fitted_on": fitted_on, "variables": {k: s.to_json() for k, s in statistics.items()}}
    write_text(path, json.dumps(tree, indent=1))


def read_statistics(path: Path) -> tuple[dict[str, Statistics], str]:
    """(statistics, what they were fitted on) of a ``stats.json``."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return {k: Statistics.from_json(s) for k, s in tree["variables"].items()}, tree["fitted_on"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            path, f"not a file of statistics ({error}); remove it to fit them anew"
        ) from None
