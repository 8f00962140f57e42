"""PDEBench's family B: one group a seed, with its own grid and configuration.

    /0000, /0001, ..:  data, grid/x [grid/y] grid/t, @config (YAML text, section ``sim``)
      diff-sorp   data (T, X, 1)
      rdb         data (T, X, Y, 1)    shallow water, radial dam break
      diff-react  data (T, Y, X, 2)    x and y swapped against the documentation

That diff-react is stored (t, y, x, v) was found with the official generator on 48 x 32 cells.
Source: pdebench/PDEBench, data_gen/src/sim_{diff_react,diff_sorp,radial_dam_break}.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.config import parse_yaml
from sciops.core.errors import ConfigError, DataError
from sciops.core.schema import Axis, Grid, Variable
from sciops.data.formats._structure import array, as_number, attribute, numbers
from sciops.data.formats._trajectories import Content
from sciops.data.hdf5 import stored, text
from sciops.data.layout import Part

TRIMMED = "the time axis has one entry more than frames; the last was trimmed"
SWAPPED = "diff-react is stored (t, y, x, v); its documentation says (t, x, y, v)"
SPECIES = {2: ("activator", "inhibitor")}
PHYSICAL = {"D", "Du", "Dv", "k", "por", "rho_s", "k_f", "n_f", "sol", "inner_height", "dam_radius"}


def seeds(file: h5py.File) -> list[str]:
    """The groups of the seeds, where the file consists of them; else none."""
    names = sorted(n for n in file if re.fullmatch(r"[0-9]{4}", n))
    groups = [file.get(n) for n in names]
    fit = all(isinstance(g, h5py.Group) and "grid" in g and "data" in g for g in groups)
    return names if fit else []


def content(path: Path, file: h5py.File) -> Content:
    """What one file holds: one part a seed."""
    names = seeds(file)
    first = file[names[0]]
    axes = _axes(path, first)
    meaning = f"(T, {', '.join(a.upper() for a in axes)}, C)"
    data = array(path, first, "data", meaning)
    grid = Grid(
        tuple(_axis(path, first, a, n) for a, n in zip(axes, data.shape[1:-1], strict=True))
    )
    width = data.shape[-1]
    fields = SPECIES.get(width, tuple(f"u{k}" for k in range(width)) if width > 1 else ("u",))
    values = _parameters(path, first)
    parts, notes = [], []
    for name in names:
        one = array(path, file[name], "data", meaning)
        if one.shape[1:] != data.shape[1:]:
            raise DataError(
                path, f"/{name}/data is {one.shape}, but /{names[0]}/data is {data.shape}"
            )
        times, trimmed = trim(path, file[name], "grid/t", one.shape[0])
        notes += trimmed
        described = ("time", *axes, "component")
        last = one.ndim - 1
        arrays = {f: (stored(path, one, described, ((last, k),)),) for k, f in enumerate(fields)}
        params = {k: np.array([v]) for k, v in values.items()}
        parts.append(Part(f"{path}:/{name}", 1, np.array([one.shape[0]]), arrays, times, params))
    if axes == ("y", "x"):
        notes.append(SWAPPED)
    return Content(
        path,
        tuple(Variable(f, grid, location="cell", time_varying=True) for f in fields),
        tuple(parts),
        notes=tuple(notes),
        provenance=dict.fromkeys(values, "YAML in the attribute config, section sim"),
    )


def trim(
    path: Path, group: h5py.Group, name: str, frames: int
) -> tuple[NDArray[np.float64], list[str]]:
    """The times of the frames; one more than there are frames is the end of the run."""
    data = array(path, group, name, "(T,)")
    if len(data) not in (frames, frames + 1):
        raise DataError(path, f"{frames} frames but {len(data)} times in {data.name}")
    times = numbers(path, group, name, (len(data),))
    return times[:frames], [TRIMMED] if len(times) > frames else []


def _axis(path: Path, group: h5py.Group, name: str, n: int) -> Axis:
    return Axis.through(name, numbers(path, group, f"grid/{name}", (n,)), "cell")


def _axes(path: Path, group: h5py.Group) -> tuple[str, ...]:
    """Stored order of the spatial axes: two species mean diff-react, which is (t, y, x, v)."""
    data = group["data"]
    rank = len(data.shape or ()) if isinstance(data, h5py.Dataset) else 0
    if rank == 3:
        return ("x",)
    if rank != 4:
        raise DataError(path, f"{data.name} must be an array (T, X, C) or (T, X, Y, C)")
    axes = ("y", "x") if data.shape[-1] == 2 else ("x", "y")
    sizes = tuple(len(array(path, group, f"grid/{a}", "(X,)")) for a in axes)
    if data.shape[1:3] != sizes:
        raise DataError(
            path, f"{data.name} is {data.shape}, but its coordinates {axes} have the sizes {sizes}"
        )
    return axes


def _parameters(path: Path, group: h5py.Group) -> dict[str, float]:
    """Physical numbers of the section ``sim`` of the YAML text; none where there is no text."""
    config = attribute(path, group, "config")
    if config is None:
        return {}
    try:
        tree: Any = parse_yaml(text(config), f"{path}:{group.name}@config")
    except ConfigError as error:
        raise DataError(path, str(error)) from None
    sim = tree.get("sim") if isinstance(tree, dict) else None
    if not isinstance(sim, dict):
        return {}
    found = {k: as_number(v) for k, v in sim.items() if k in PHYSICAL}
    return {k: v for k, v in found.items() if v is not None}
