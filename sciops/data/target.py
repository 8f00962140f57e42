"""In which format a file is to be written: as said, as the source is, or as its name ends.

.hdf5 .h5 sciops    .nc netcdf    .zarr zarr    .npz npz    .pt .pth pt
"""

from __future__ import annotations

from pathlib import Path

from sciops.core import resolve
from sciops.core.errors import ConfigError, NotFound, SchemaError
from sciops.data.source import Source

SUFFIXES = {
    ".hdf5": "sciops",
    ".h5": "sciops",
    ".nc": "netcdf",
    ".zarr": "zarr",
    ".npz": "npz",
    ".pt": "pt",
    ".pth": "pt",
}


def by_suffix(path: str | Path) -> str:
    """The format that files of that ending mean to us; ConfigError where none does."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{path}: the ending {suffix or '(none)'} does not say in which format to write; use "
            f"one of {', '.join(SUFFIXES)}, or --to {' | '.join(resolve.names('writers'))}"
        )
    return SUFFIXES[suffix]


def like(path: str | Path, format: str, source: Source) -> tuple[str, str]:
    """(format to write `path` in, why it is not `format`): `format` where it can be.

    Parameters
    ----------
    path
        The file to make; its ending decides where `format` cannot be written.
    format
        The wanted format, that of the data set.
    source
        What is to be written.
    """
    instead = by_suffix(path)
    try:
        writer = resolve.find("writers", format)
        writer.adapted(source)  # type: ignore[attr-defined]
    except NotFound:
        return instead, f"sciops does not write the format {format}"
    except SchemaError as error:
        return instead, str(error)
    suffix: str = writer.suffix  # type: ignore[attr-defined]
    if SUFFIXES[suffix] == instead:
        return format, ""
    return instead, f"files of the format {format} end in {suffix}"
