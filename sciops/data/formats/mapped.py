"""Arrays whose meaning their owner states: a YAML file with dims, roles, coordinates.

    flow.yaml              file: run_*.h5, dims: {u: sample time y x}, ..
    run.h5.mapping.yaml    the same for run.h5, beside it

HDF5, netCDF, npz, npy, MATLAB, zarr and torch files, one or several joined as samples, or a folder
of files side by side.  What a mapping says goes before every recognition.
Source: `sciops.data.mapping`.
"""

from __future__ import annotations

import glob
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from sciops.core.errors import ConfigError, DataError
from sciops.data import containers
from sciops.data.files import write_text
from sciops.data.formats._mapped_layout import content
from sciops.data.formats._structure import structure
from sciops.data.formats._trajectories import joined
from sciops.data.layout import Format, Layout
from sciops.data.mapping import ENDING, Mapping, mapping_of, sidecar_of, tree_of

TINY = "file: tiny.npz\ndims: {u: sample time x}\ncoords: {x: [0, 1]}\ntime: {dt: 0.5}\n"


class Mapped(Format):
    """A mapping in YAML, or a file that has one beside it."""

    title = "own arrays, described by a mapping (YAML)"
    source = "sciops.data.mapping; docs/guides/own_arrays.md"
    verified = "PDEBench 2D_diff-react, KdV.mat of PINNs, EZyRB .npy, as published"

    def recognises(self, path: Path) -> str | None:
        """A YAML file with the key dims, or a mapping beside the file."""
        if tree_of(path) is not None:
            return f"{path.name} is a mapping: YAML with the key dims"
        beside = sidecar_of(path)
        return None if beside is None else f"{beside.name} beside it says what its arrays mean"

    def layout(self, path: Path) -> Layout:
        """The layout of what a YAML file describes, or of a file after the mapping beside it."""
        reason = self.recognises(path)
        if reason is None:
            raise DataError(path, f"expected a YAML file with dims, or NAME{ENDING} beside it")
        beside = sidecar_of(path)
        try:
            if tree_of(path) is not None:
                own = path.with_name(path.name.removesuffix(ENDING))
                alone = own != path and own.exists() and not mapping_of(path).file
                data = own if alone else path.parent
                return described(data, mapping_of(path), reason, path)
            assert beside is not None
            return described(path, mapping_of(beside), reason)
        except ConfigError as error:
            raise DataError(path, str(error)) from None

    def write_tiny(self, path: Path) -> Path:
        """Two samples of three frames on four cells, and the mapping."""
        np.savez(path / "tiny.npz", u=np.arange(24.0).reshape(2, 3, 4))
        write_text(path / "tiny.yaml", TINY)
        return path / "tiny.yaml"


def described(path: Path, mapping: Mapping, reason: str, named: Path | None = None) -> Layout:
    """The layout of arrays under a mapping.

    Parameters
    ----------
    path
        A file or store; or a folder, in which `mapping.file` is looked for, or, where it names
        nothing, the files that the keys begin with.
    named
        What was opened, for the name and for errors; None for `path`.

    Raises
    ------
    DataError
        If files or arrays are missing, or do not fit what the mapping says.
    """
    named = named or path
    files = _files(path, mapping, named)
    layout = joined(named, [content(f, mapping) for f in files], "mapped", reason)
    name = mapping.name or Path(named.name.removesuffix(ENDING)).stem
    with structure(named):
        schema = replace(layout.schema, name=name, time_unit=mapping.units.get("time"))
        return replace(layout, schema=schema)


def _files(path: Path, mapping: Mapping, named: Path) -> list[Path]:
    """The files that are joined as samples; what is opened by its path goes before `file`."""
    if not path.is_dir() or containers.container(path) is not None or not mapping.file:
        return [path]
    found: list[Path] = []
    for pattern in mapping.file:
        there = [Path(p) for p in glob.glob(str(path / pattern), recursive=True)]
        if not there:
            raise DataError(named, f"file: nothing in {path} fits {pattern!r}")
        found += sorted(there, key=lambda p: _natural(p.name))
    return found


def _natural(name: str) -> list[str]:
    """Names in the order of the numbers in them: 2 before 10."""
    return [s.rjust(20, "0") if s.isdecimal() else s for s in re.split(r"([0-9]+)", name)]
