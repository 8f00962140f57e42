"""Solutions in one space dimension as .mat files, of the PINNs and pysindy repositories.

    usol or uu   (X, T)   real or complex      becomes the variable u (time, x)
    x            X positions, t or tt  T times, rows or columns

One trajectory.  Complex values stay complex, also where the imaginary part is zero (pysindy's
Burgers).  Equation, boundaries and units are not stored.
Source: Raissi, Perdikaris, Karniadakis, Physics-informed neural networks, JCP 378 (2019);
maziarraissi/PINNs (MIT), appendix/Data; dynamicslab/pysindy (MIT), examples/data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.formats import _mat
from sciops.data.formats._mat import Mat
from sciops.data.formats._structure import structure
from sciops.data.formats._well import uniform_step
from sciops.data.layout import Format, Layout, Part

FIELD, TIME = ("usol", "uu"), ("t", "tt")
NOTE = "equation, boundaries and units are not stored"


class PinnsMat(Format):
    """One trajectory on x and t."""

    title = "PINNs and pysindy .mat (usol, x, t)"
    source = "maziarraissi/PINNs, appendix/Data; dynamicslab/pysindy, examples/data"
    verified = "PINNs burgers_shock and KdV, pysindy Burgers"

    def recognises(self, path: Path) -> str | None:
        """A MATLAB file with usol or uu, x, and t or tt."""
        mat = _mat.look(path)
        names = None if mat is None else _names(mat)
        return None if names is None else f"a MATLAB file with {', '.join(names)}"

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        mat = _mat.look(path)
        names = None if mat is None else _names(mat)
        if mat is None or names is None:
            raise DataError(path, f"expected a MATLAB file with one of {FIELD}, x, one of {TIME}")
        with structure(path):
            x, times = mat.line("x"), mat.line(names[2])
            shape = mat.arrays[names[0]]
            if shape != (len(x), len(times)) or 0 in shape:
                raise DataError(
                    path,
                    f"{names[0]} must be (X, T) = ({len(x)}, {len(times)}) after x and "
                    f"{names[2]}, got {shape}",
                )
            if not np.isfinite(times).all():
                raise DataError(path, f"{names[2]} holds NaN or infinity")
            u = mat.stored(names[0], ("x", "time"))
            grid = Grid((Axis.through("x", x),))
            part = Part(str(path), 1, np.array([len(times)]), {"u": (u,)}, times)
            schema = Schema(
                (Variable("u", grid, time_varying=True),), dt=uniform_step(times), name=path.stem
            )
            return Layout(schema, (part,), "pinns_mat", self.recognises(path) or "", (NOTE,))

    def write_tiny(self, path: Path) -> Path:
        """Five points, three times."""
        from scipy.io import savemat

        target = path / "tiny.mat"
        x, t = np.linspace(-1, 1, 5)[:, None], np.array([[0.0, 0.5, 1.0]])
        savemat(target, {"usol": np.arange(15.0).reshape(5, 3), "x": x, "t": t})
        return target


def _names(mat: Mat) -> tuple[str, str, str] | None:
    """(field, x, time) as the file calls them."""
    field = [k for k in FIELD if k in mat.arrays]
    time = [k for k in TIME if k in mat.arrays]
    if not field or not time or "x" not in mat.arrays:
        return None
    return field[0], "x", time[0]
