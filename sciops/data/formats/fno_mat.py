"""The .mat files of the Fourier neural operator's first code, of version 5 or 7.3.

    Burgers        a (N, X)          ->  u (N, X)              the solution at t = 1
    Darcy          coeff (N, X, Y)   ->  sol (N, X, Y)         ends included, 421 points
    Navier-Stokes  a (N, X, Y), u (N, X, Y, T), t (1, T)       vorticity; time is the last axis

The schema is from memory and from public loaders of these files; none of the files was at hand.
Points are not stored: i / n for Burgers and Navier-Stokes, linspace(0, 1, n) for Darcy.  The paper
has periodic boundaries for the first and the last, u = 0 for Darcy; the files do not say so, thus
they stay unknown.
Source: Li et al., Fourier Neural Operator, ICLR 2021 (arXiv 2010.08895).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.formats import _mat
from sciops.data.formats._mat import Mat
from sciops.data.formats._structure import LONGEST, structure
from sciops.data.formats._well import uniform_step
from sciops.data.layout import Format, Layout, Part

PAIRS = (("a", "u"), ("coeff", "sol"))
POINTS = "points are not stored; {rule} on the unit interval are assumed"
RULES = {"left": "i / n", "node": "linspace(0, 1, n)"}
MEMORY = "the schema of these files is from memory; no genuine file was at hand"


class FnoMat(Format):
    """Pairs a, u or coeff, sol."""

    title = "FNO .mat (a, u; coeff, sol)"
    source = "Li et al., arXiv 2010.08895 (from memory)"

    def recognises(self, path: Path) -> str | None:
        """A MATLAB file with a and u, or coeff and sol, of as many samples."""
        mat = _mat.look(path)
        pair = None if mat is None else _pair(mat)
        if mat is None or pair is None:
            return None
        return f"a MATLAB file (version {mat.version}) with {pair[0]} and {pair[1]}"

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        mat = _mat.look(path)
        pair = None if mat is None else _pair(mat)
        if mat is None or pair is None:
            raise DataError(path, f"expected a MATLAB file with one of the pairs {PAIRS}")
        with structure(path):
            return _layout(mat, pair, self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two trajectories of three frames on 4 x 5 points."""
        from scipy.io import savemat

        target = path / "tiny.mat"
        u = np.arange(120, dtype=np.float32).reshape(2, 4, 5, 3)
        savemat(target, {"a": u[..., 0] - 1, "u": u, "t": np.array([[1.0, 2.0, 3.0]])})
        return target


def _pair(mat: Mat) -> tuple[str, str] | None:
    for pair in PAIRS:
        shapes = [mat.arrays.get(name, ()) for name in pair]
        if all(len(s) >= 2 for s in shapes) and shapes[0][0] == shapes[1][0]:
            return pair
    return None


def _layout(mat: Mat, pair: tuple[str, str], reason: str) -> Layout:
    first, second = (mat.arrays[name] for name in pair)
    moving = pair == PAIRS[0] and len(first) == 3 and len(second) == 4
    dimension = {("a", 2): 1, ("a", 3): 2, ("coeff", 3): 2}.get((pair[0], len(first)))
    if dimension is None or second[: len(first)] != first or len(second) - len(first) != moving:
        raise DataError(
            mat.path,
            f"expected a (N, X), u (N, X); coeff, sol (N, X, Y); or a (N, X, Y), u (N, X, Y, T); "
            f"got {pair[0]} {first}, {pair[1]} {second}",
        )
    if dimension == 2 and pair == PAIRS[0] and not moving:
        raise DataError(mat.path, f"u must be (N, X, Y, T), got {second}")
    if max(second) > LONGEST:
        raise DataError(mat.path, f"{pair[1]} declares the shape {second}; refused")
    if min(first[1:]) < 2:
        raise DataError(mat.path, f"{pair[0]} must have two points along each axis, got {first}")
    space = ("x", "y")[:dimension]
    rule = "node" if pair == PAIRS[1] else "left"
    axes = (
        Axis.uniform(a, n, spacing="node" if rule == "node" else "left")
        for a, n in zip(space, first[1:], strict=True)
    )
    grid = Grid(tuple(axes))
    n, frames = first[0], second[-1] if moving else 1
    time = ("time",) if moving else ()
    arrays = {
        pair[0]: (mat.stored(pair[0], ("sample", *space)),),
        pair[1]: (mat.stored(pair[1], ("sample", *space, *time)),),
    }
    variables = (
        Variable(pair[0], grid, "input"),
        Variable(pair[1], grid, "state" if moving else "target", time_varying=moving),
    )
    times = None
    if moving and "t" in mat.arrays:
        times = mat.line("t")
        if len(times) != frames or not np.isfinite(times).all():
            raise DataError(mat.path, f"u has {frames} frames, t has {mat.arrays['t']} entries")
    part = Part(str(mat.path), n, np.full(n, frames), arrays, times)
    other = sorted(set(mat.arrays) - set(pair) - ({"t"} if moving else set()))
    notes = [POINTS.format(rule=RULES[rule]), MEMORY]
    notes += [f"left out: {', '.join(other)}"] if other else []
    schema = Schema(
        variables, dt=None if times is None else uniform_step(times), name=mat.path.stem
    )
    return Layout(schema, (part,), "fno_mat", reason, tuple(notes))
