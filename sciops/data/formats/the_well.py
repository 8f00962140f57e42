"""The Well: HDF5 files, or the folder of a data set with data/{train,valid,test}/*.hdf5.

Schema: see `_well`.  Fields that vary in time are states; the others belong to the geometry.
Subsets are the folders.  Source: Ohana et al., The Well, NeurIPS 2024 (arXiv 2412.00568).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciops.core.schema import Axis, Boundary
from sciops.data import contents
from sciops.data.formats import _well
from sciops.data.hdf5 import is_hdf5
from sciops.data.layout import Format, Layout

SUBSETS = ("train", "valid", "test")


class TheWell(Format):
    """HDF5 in the layout of The Well, one file or a data set's folder."""

    title = "The Well (HDF5)"
    source = "PolymathicAI/the_well, docs/data_format.md; arXiv 2412.00568"

    def recognises(self, path: Path) -> str | None:
        """Groups ``dimensions`` and ``t?_fields``, without our own ``sciops_contents``."""
        files = _files(path)
        if not files or not is_hdf5(files[0][0]) or not _well.has_structure(files[0][0]):
            return None
        if path.is_file():
            found = (
                None if contents.carried(path) else "HDF5 with the groups dimensions and t?_fields"
            )
            return found
        return (
            f"a folder data/{{{','.join(SUBSETS)}}} of {len(files)} HDF5 files of The Well's layout"
        )

    def layout(self, path: Path) -> Layout:
        """The layout of one file, or of all files of the data set."""
        return _well.read(_files(path), "the_well", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two trajectories of three frames on a periodic 6 x 4 grid: scalar, vector, tensor."""
        from sciops.data.arrays import from_arrays
        from sciops.data.convert import convert
        from sciops.data.source import FileSource

        h = np.arange(144, dtype=np.float32).reshape(2, 3, 6, 4)
        v = np.stack([h, -h], axis=-1)
        arrays = from_arrays(
            [Axis.uniform("x", 6, spacing="periodic"), Axis.uniform("y", 4, spacing="periodic")],
            states={"height": h, "velocity": v, "strain": np.stack([v, v], axis=-1)},
            params={"nu": [0.1, 0.2]},
            times=[0.0, 0.5, 1.0],
            boundary=[Boundary(axis, "lower", "periodic") for axis in ("x", "y")],
            name="tiny",
        )
        return convert(FileSource(arrays), path / "tiny.hdf5", "the_well").path


def _files(path: Path) -> list[tuple[Path, str | None]]:
    """The HDF5 files of a data set, with the subset that their folder names."""
    if path.is_file():
        return [(path, path.parent.name if path.parent.name in SUBSETS else None)]
    root = path / "data" if (path / "data").is_dir() else path
    found: list[tuple[Path, str | None]] = []
    for subset in SUBSETS:
        for pattern in ("*.hdf5", "*.h5"):
            found += [(file, subset) for file in sorted((root / subset).glob(pattern))]
    return found
