"""The same data stored for another way of reading, and what that gained.

Random windows (training) and whole trajectories (analysis) want different chunks; both costs are
measured on the file before and after, through the reader that training uses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciops.core import resolve
from sciops.core.errors import ConfigError
from sciops.data.convert import Converted, Progress, convert
from sciops.data.cost import Cost, stored_bytes, window_cost
from sciops.data.layout import Layout
from sciops.data.open import open_layout
from sciops.data.source import FileSource
from sciops.data.writers._writer import Storage

DRAWS = 3  # trajectories that are timed
LONG = 5.0  # seconds after which no further one is


@dataclass(frozen=True)
class Access:
    """What a data set costs: a random window, a whole trajectory (milliseconds), bytes of files."""

    window: Cost
    trajectory: float
    bytes: int


@dataclass(frozen=True)
class Rechunked:
    """The conversion, and the costs before and after it."""

    converted: Converted
    before: Access
    after: Access


def access(layout: Layout, seed: int = 0) -> Access:
    """Measure a data set."""
    source = FileSource(layout)
    fields = [v for v in layout.schema.variables if v.role != "param"]
    rng = np.random.default_rng(seed)
    window = window_cost(layout, seed)
    chosen = rng.choice(layout.n_samples, min(DRAWS, layout.n_samples), replace=False)
    seconds: list[float] = []
    for sample in chosen:
        began = time.perf_counter()
        for v in fields:
            for _, values in source.blocks(v.name, int(sample)):
                np.array(values)
        seconds.append(time.perf_counter() - began)
        if sum(seconds) > LONG:
            break
    return Access(window, 1e3 * float(np.median(seconds)), stored_bytes(layout)[1])


def rechunk(
    layout: Layout,
    path: str | Path,
    storage: Storage,
    to: str = "sciops",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Rechunked:
    """Write a data set for another way of reading; see `Storage`.

    Raises
    ------
    ConfigError
        If the format is written in one piece.
    DataError
        As `convert`.
    """
    if not resolve.find("writers", to).presets:  # type: ignore[attr-defined]
        raise ConfigError(f"a file of the format {to} is one piece and has no chunks to choose")
    before = access(layout)
    done = convert(FileSource(layout), path, to, storage, overwrite, progress)
    return Rechunked(done, before, access(open_layout(done.path)))
