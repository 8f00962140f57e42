"""Errors that a user can act on: each says what was expected, what came and what to do.

The command line prints the text of a `SciopsError` as it stands and ends with exit code 2;
anything else that is raised is a defect of sciops and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SciopsError(Exception):
    """Base of every error that is the caller's to solve."""


class ConfigError(SciopsError, ValueError):
    """A setting is unknown, misspelt, of the wrong type, or out of range."""


class NotFound(SciopsError, LookupError):
    """A plug-in, a variable or a metric of that name does not exist."""


class SchemaError(SciopsError, ValueError):
    """Variables, grids or boundaries do not fit together."""


class ShapeError(SciopsError, ValueError):
    """A tensor has not the shape that the schema or the equation asks for."""


class DataError(SciopsError, ValueError):
    """A file or folder cannot be read as the data that it should be."""

    def __init__(self, path: str | Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = str(path)


class ResumeError(SciopsError, RuntimeError):
    """A run folder holds another run than the one that was asked for."""


class NotPositiveDefinite(SciopsError, ValueError):
    """Conjugate gradients were given a matrix or preconditioner that is not known to be SPD."""


class MissingPackage(SciopsError, ImportError):
    """An optional package is needed for what was asked."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}; install it with: pip install 'sciops[{extra}]'"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'width'?`, or the empty string where nothing known is close to `name`."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
