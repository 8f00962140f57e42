"""From a path to a layout: which format it is, and why.

What the owner says goes first: a mapping that is given, or one that lies beside the data.  Else
formats are recognised by structure, never by the file's name.  Exactly one must recognise the
path; otherwise the error names the candidates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sciops.core import resolve
from sciops.core.errors import ConfigError, DataError, MissingPackage, NotFound
from sciops.data import containers, hdf5
from sciops.data.layout import Format, Layout, Stored
from sciops.data.mapping import Mapping, mapping_of, sidecar_of

GIVEN = "described by the mapping that was given"


def open_layout(
    path: str | Path,
    format: str | None = None,
    mapping: Mapping | dict[str, Any] | str | Path | None = None,
) -> Layout:
    """The layout of a file or folder.

    Parameters
    ----------
    path
        File or folder.
    format
        Name of a format (``sciops list formats``), or ``package.module:Class``; None to look.
    mapping
        What the arrays of any file mean (`sciops.data.mapping.Mapping`), as it is, as a dictionary
        or as a YAML file; it goes before every recognition.

    Raises
    ------
    ConfigError
        If the mapping cannot be understood, or a format is named beside it.
    DataError
        If there is nothing, or nothing that a known format recognises, or several do.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(path, "no such file or folder")
    if mapping is not None:
        from sciops.data.formats.mapped import described

        if format not in (None, "mapped"):
            raise ConfigError(f"a mapping says all; leave out the format {format!r}")
        return described(path, mapping_of(mapping), GIVEN)
    if format is None:
        format, _ = detect(path)
    return get(format).layout(path)


def get(name: str) -> Format:
    """The format of that name."""
    found = resolve.find("formats", name)()
    assert isinstance(found, Format)
    return found


def detect(path: str | Path) -> tuple[str, str]:
    """(format, reason) of the one format that recognises the path."""
    path = Path(path)
    beside = sidecar_of(path)
    if beside is not None:  # what the owner says is not compared with anything
        return "mapped", f"{beside.name} beside it says what its arrays mean"
    own = get("sciops").recognises(path)
    if own is not None:  # what says itself what it holds is not guessed, whatever it looks like
        return "sciops", own
    found = {}
    for name in resolve.names("formats"):
        reason = None if get(name).on_request else get(name).recognises(path)
        if reason is not None:
            found[name] = reason
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        listed = "; ".join(f"{name}: {reason}" for name, reason in found.items())
        raise DataError(path, f"several formats recognise it ({listed}); name one with format=")
    raise DataError(path, _why_not(path))


def _why_not(path: Path) -> str:
    known = ", ".join(resolve.names("formats"))
    if path.is_dir():
        inside = [p.name for p in sorted(path.iterdir()) if p.is_file()]
        usable = [n for n in inside if _recognised(path / n)]
        if usable:
            return f"a folder, not a data set; open one of its files: {', '.join(usable[:8])}"
        return f"a folder without data that sciops knows (formats: {known})"
    with path.open("rb") as file:
        start = file.read(512)
    if path.suffix in (".h5", ".hdf5") and not hdf5.is_hdf5(path):
        kind = "text" if start and b"\0" not in start else "binary"
        return f"not an HDF5 file: a {kind} file without the HDF5 signature"
    if not start:
        return "the file is empty; fetch or write it again"
    arrays = _arrays(path)
    if arrays:
        shown = ", ".join(f"{k} {s.shape}" for k, s in list(arrays.items())[:8])
        first, stored = next(iter(arrays.items()))
        axes = ",".join(["sample", "time", "x", "y", "z"][: len(stored.shape)])
        return (
            f"no format recognises it (formats: {known}); it holds the arrays {shown}: say what "
            f"their axes mean, for example --dims '{first}={axes}', or in a mapping "
            f"(docs: I have arrays of this shape)"
        )
    if hdf5.is_hdf5(path):
        return f"HDF5 without arrays of numbers, in no structure that sciops knows ({known})"
    return f"no format recognises it (formats: {known})"


def _arrays(path: Path) -> dict[str, Stored]:
    """The arrays of a file, where it is a container that can be read."""
    try:
        return containers.arrays(path)
    except (DataError, MissingPackage):
        return {}


def _recognised(path: Path) -> bool:
    try:
        detect(path)
    except (DataError, NotFound):
        return False
    return True
