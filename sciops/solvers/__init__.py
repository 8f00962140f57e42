"""Solvers of linear systems A x = b, one method a file; the file name is the solver's name.

Preconditioners that were trained are folders: `module.save(folder)` writes one, `load` reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sciops.solvers._trained import TrainedModule


def load(folder: str | Path) -> TrainedModule:
    """Read a trained preconditioner of any kind, on the CPU, in float32 and `eval()`.

    Raises
    ------
    DataError, ConfigError
        If a file is missing or damaged, the weights do not fit, or the kind is unknown.
    """
    from sciops.solvers._trained import load as read

    return read(folder)
