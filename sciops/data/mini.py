"""A small file of the same kind: some samples, the first frames, everything else as it was.

For tests, for reports of defects, and for trying a configuration before the long run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciops.core.errors import SchemaError
from sciops.data.convert import Converted, convert
from sciops.data.open import open_layout
from sciops.data.resample import Frames
from sciops.data.source import FileSource, Selected, Source
from sciops.data.target import like


@dataclass(frozen=True)
class Mini:
    """What was written: the file, its format, the samples, and why it is of another format."""

    converted: Converted
    to: str
    samples: tuple[int, ...]
    reason: str = ""


def spread(n: int, k: int) -> tuple[int, ...]:
    """k of n samples, evenly spread from the first to the last: all parts of a data set occur."""
    return tuple(int(i) for i in np.unique(np.linspace(0, n - 1, min(k, n)).round()))


def mini(
    path: str | Path,
    output: str | Path,
    samples: int = 3,
    frames: int = 5,
    format: str | None = None,
    overwrite: bool = False,
) -> Mini:
    """Write a small file of the format of `path`, where sciops writes that format, else another.

    Parameters
    ----------
    path
        The data set.
    output
        The file to make.
    samples, frames
        How many samples (evenly spread), and how many frames of each (the first).
    format
        Of `path`; recognised if left out.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    DataError
        If it cannot be read or written.
    SchemaError
        If less than one sample or frame is asked for.
    """
    if samples < 1 or frames < 1:
        raise SchemaError(f"at least one sample and frame are needed, got {samples} and {frames}")
    layout = open_layout(path, format)
    chosen = spread(layout.n_samples, samples)
    source: Source = Selected(FileSource(layout), chosen)
    if any(v.time_varying for v in layout.schema.variables):
        source = Frames(source, slice(0, frames))
    to, reason = like(output, layout.format, source)
    return Mini(convert(source, output, to, overwrite=overwrite), to, chosen, reason)
