"""Our own format, and every file that sciops exported: the file says itself what it holds.

``sciops data convert`` writes an array ``sciops_contents`` into whatever it makes (see
`sciops.data.contents`), so HDF5, netCDF-4, zarr, npz and pt files come back as they were.  Our
HDF5 has The Well's layout besides, whose own loader reads it.  Beside the file ``name.hdf5`` stand
``name.splits.json``, ``name.stats.json`` and ``name.manifest.json``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import SIDES, Axis, Boundary, Grid, Schema, Variable
from sciops.data import contents
from sciops.data.layout import Format, Layout


class Sciops(Format):
    """Whatever sciops wrote."""

    title = "sciops HDF5 (The Well's layout), and what sciops exported to other formats"
    source = "docs: Concepts, Data"
    verified = "written and read by sciops"

    def recognises(self, path: Path) -> str | None:
        """The array ``sciops_contents``."""
        return f"it holds the array {contents.KEY}" if contents.carried(path) else None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        if not contents.carried(path):
            raise DataError(path, f"has no array {contents.KEY}; it was not written by sciops")
        return contents.read(path, "sciops", f"it holds the array {contents.KEY}")

    def write_tiny(self, path: Path) -> Path:
        """Two samples of a static map on a 6 x 4 grid with one parameter."""
        from sciops.data.write import write_dataset

        grid = Grid((Axis.uniform("x", 6), Axis.uniform("y", 4, upper=2.0, unit="m")))
        schema = Schema(
            (
                Variable("coefficient", grid, "input", unit="m^2", location="cell"),
                Variable("velocity", grid, "target", components=(2,), location="cell"),
                Variable("force", role="param"),
            ),
            tuple(
                Boundary(a, side, "dirichlet", ("velocity",), 0.0)
                for a in ("x", "y")
                for side in SIDES
            ),
            name="tiny",
        )
        a = np.arange(48, dtype=np.float32).reshape(2, 6, 4)
        fields = {"coefficient": a, "velocity": np.stack([a, -a], axis=-1)}
        return write_dataset(path / "tiny.hdf5", schema, fields, {"force": np.array([1.0, 2.0])})
