"""Our own format: The Well's HDF5 layout, and attributes that it has no place for.

Beside what `_well` describes: the root attribute ``sciops_format = "sciops-1"``; ``role``,
``unit`` and ``location`` of a field; ``lower``, ``upper``, ``periodic`` and ``unit`` of a
coordinate; the exact ``kind`` and ``value`` of a boundary condition; a ``recipe`` (JSON) where the
file was generated.  Beside the file ``name.hdf5`` stand ``name.splits.json``, ``name.stats.json``
and ``name.manifest.json``.  The Well's own loader reads such a file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciops.core.schema import SIDES, Axis, Boundary, Grid, Schema, Variable
from sciops.data.formats import _well
from sciops.data.hdf5 import is_hdf5
from sciops.data.layout import Format, Layout


class Sciops(Format):
    """HDF5 written by sciops."""

    title = "sciops HDF5 (The Well's layout, with roles, units and bounds)"
    source = "docs: Concepts, Data"
    verified = "written and read by sciops"

    def recognises(self, path: Path) -> str | None:
        """An HDF5 file with the root attribute ``sciops_format``."""
        if is_hdf5(path) and _well.has_structure(path) and _well.is_ours(path):
            return f"HDF5 with the root attribute {_well.MARK} and The Well's groups"
        return None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        return _well.read([(path, None)], "sciops", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two samples of a static map on a 6 x 4 grid with one parameter."""
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
        target = path / "tiny.hdf5"
        _well.write_file(target, schema, fields, {"force": np.array([1.0, 2.0])}, {}, None)
        return target
