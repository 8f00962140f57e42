"""PDEBench's family C: incompressible Navier-Stokes with a static force.

    velocity (n, T, X, Y, 2)   particles (n, T, X, Y, 1)   force (n, X, Y, 2)   t (n, T)
    @config  YAML text: domain_size, grid_size, NU, the two extrapolations, the noise of the start
    @latestIndex  number of the last frame that was written; later ones are empty

The particles are the smoke density.  The generator resamples its staggered velocity to cell
centres before it writes.  No coordinates are stored: `domain_size` of the config is taken, although
the generator (sim_ns_incomp_2d.py) builds its box from `grid_size`; a note says so.  The
extrapolations name the boundary: ZERO is a value of 0, BOUNDARY a zero gradient.
Source: pdebench/PDEBench, data_gen/src/{sim_ns_incomp_2d,data_io}.py, configs/ns_incomp.yaml;
issue 40.  Units are not given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.config import parse_yaml
from sciops.core.errors import ConfigError, DataError
from sciops.core.schema import SIDES, Axis, Boundary, Grid, Variable
from sciops.data.formats._structure import (
    COUNTED,
    array,
    as_number,
    attribute,
    counted,
    number,
    numbers,
)
from sciops.data.formats._trajectories import Content
from sciops.data.hdf5 import stored, text
from sciops.data.layout import Part

NAMES = {"velocity", "particles", "force", "t"}
PHYSICAL = ("NU", "scale", "smoothness", "force_scale", "force_smoothness")
DOMAIN = "the domain is domain_size of the config; the generator's own box has the size grid_size"
EXTRAPOLATION = {
    "ZERO": ("dirichlet", 0.0),
    "BOUNDARY": ("neumann", 0.0),
    "PERIODIC": ("periodic", None),
}
SPACE = ("x", "y")


def content(path: Path, file: h5py.File) -> Content:
    """What one file holds."""
    velocity = array(path, file, "velocity", "(n, T, X, Y, 2)")
    particles = array(path, file, "particles", "(n, T, X, Y, 1)")
    force = array(path, file, "force", "(n, X, Y, 2)")
    n, frames, nx, ny, _ = velocity.shape
    for data, shape in ((particles, (n, frames, nx, ny, 1)), (force, (n, nx, ny, 2))):
        if data.shape != shape or velocity.shape[-1] != 2:
            raise DataError(
                path,
                f"/velocity must be (n, T, X, Y, 2), got {velocity.shape}; then {data.name} must "
                f"be {shape}, got {data.shape}",
            )
    times = numbers(path, file, "t", (n, frames))
    written, notes = _written(path, file, frames)
    config = _config(path, file)
    boundary = _boundary(config)
    axes, more = _axes(config, (nx, ny), {b.axis for b in boundary if b.kind == "periodic"})
    grid = Grid(axes)
    moving = ("sample", "time", *SPACE, "component")
    variables = (
        Variable("velocity", grid, components=(2,), location="cell", time_varying=True),
        Variable("particles", grid, location="cell", time_varying=True),
        Variable("forcing", grid, "forcing", components=(2,), location="cell"),
    )
    arrays = {
        "velocity": (stored(path, velocity, moving),),
        "particles": (stored(path, particles, (*moving[:-1], "")),),
        "forcing": (stored(path, force, ("sample", *SPACE, "component")),),
    }
    params = {k: np.full(n, v) for k in PHYSICAL if (v := as_number(config.get(k))) is not None}
    part = Part(str(path), n, np.full(n, written), arrays, times[:, :written], params)
    return Content(
        path,
        variables,
        (part,),
        boundary,
        (*notes, *more),
        dict.fromkeys(params, "YAML in the attribute config"),
    )


def _written(path: Path, file: h5py.File, frames: int) -> tuple[int, list[str]]:
    """Number of frames that the simulation wrote before it ended or was stopped."""
    latest = number(path, file, "latestIndex")
    if latest is None or latest >= frames - 1:
        return frames, []
    if latest < 0:
        raise DataError(path, "@latestIndex is -1: no frame was written; run the generator again")
    written = int(latest) + 1
    return written, [f"only {written} of {frames} frames were written (@latestIndex)"]


def _config(path: Path, file: h5py.File) -> dict[str, Any]:
    config = attribute(path, file, "config")
    if config is None:
        return {}
    try:
        tree = parse_yaml(text(config), f"{path}@config")
    except ConfigError as error:
        raise DataError(path, str(error)) from None
    return tree if isinstance(tree, dict) else {}


def _axes(
    config: dict[str, Any], shape: tuple[int, ...], periodic: set[str]
) -> tuple[tuple[Axis, ...], list[str]]:
    size = config.get("domain_size")
    sides = [as_number(s) for s in size] if isinstance(size, list) else []
    lengths: NDArray[np.float64] = np.array([s for s in sides if s is not None and s > 0])
    if len(lengths) != len(shape):
        return tuple(counted(a, n) for a, n in zip(SPACE, shape, strict=True)), [COUNTED]
    axes = tuple(
        Axis.uniform(a, n, 0.0, float(length), "cell", a in periodic or None)
        for a, n, length in zip(SPACE, shape, lengths, strict=True)
    )
    return axes, [DOMAIN]


def _boundary(config: dict[str, Any]) -> tuple[Boundary, ...]:
    """One condition a side and variable, where the config names an extrapolation that is known."""
    found: list[Boundary] = []
    for name, key in (("velocity", "velocity"), ("particles", "particle"), ("forcing", "force")):
        kind, value = EXTRAPOLATION.get(str(config.get(f"{key}_extrapolation")), (None, None))
        if kind is not None and name != "forcing":
            found += [Boundary(a, side, kind, (name,), value) for a in SPACE for side in SIDES]
    return tuple(found)
