"""PDEBench's HDF5 files, families A and B.

    A  scalar 1-D   tensor (n, T, X), x-coordinate, t-coordinate of T + 1 entries
       CFD          density, pressure, Vx[, Vy, Vz], each (n, T, X[, Y, Z])
       Darcy        nu (n, X, Y) -> tensor (n, 1, X, Y)
    B  per seed     groups /0000, /0001, ..: data, grid/x [grid/y] grid/t, @config (YAML text)
         diff-sorp  data (T, X, 1)      rdb (shallow water)  data (T, X, Y, 1)
         diff-react data (T, Y, X, 2)   x and y swapped against the documentation

Cell centres.  The last of the T + 1 times is the end of the run, of which no frame is stored; it
is trimmed.  Boundaries are stored nowhere: the word ``periodic`` or ``trans`` in a CFD file's name
is taken, everything else stays unknown.
Source: Takamoto et al., PDEBench, NeurIPS 2022 (arXiv 2210.07182), doi 10.18419/darus-2986.  That
diff-react is stored (t, y, x, v) was found with the official generator on 48 x 32 cells.
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
from sciops.core.schema import SIDES, Axis, Boundary, Grid, Schema, Variable
from sciops.data.formats._well import uniform_step
from sciops.data.hdf5 import is_hdf5, opened, stored, text
from sciops.data.layout import Format, Layout, Part, Stored

SPACE = ("x", "y", "z")
PARAMETERS = {"beta", "Nu", "nu", "rho", "eta", "zeta", "M"}
TRIMMED = "the time axis has one entry more than frames; the last was trimmed"
SWAPPED = "diff-react is stored (t, y, x, v); its documentation says (t, x, y, v)"
SPECIES = {2: ("activator", "inhibitor")}


class PDEBench(Format):
    """Files of PDEBench, recognised by the names of their data sets."""

    title = "PDEBench HDF5 (scalar 1-D, CFD, Darcy, per seed)"
    source = "pdebench/PDEBench; arXiv 2210.07182; doi 10.18419/darus-2986"
    verified = "diff-react and diff-sorp from the official generator"

    def recognises(self, path: Path) -> str | None:
        """The data sets that only this benchmark names so."""
        if not is_hdf5(path):
            return None
        with opened(path) as file:
            family = _family(file)
        return None if family is None else f"HDF5 with the data sets of PDEBench's {family} files"

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        with opened(path) as file:
            family = _family(file)
            if family is None:
                raise DataError(path, f"not a PDEBench file; it holds {sorted(file)[:8]}")
            build = {"Darcy": _darcy, "CFD": _cfd, "scalar 1-D": _scalar, "per-seed": _seeds}[
                family
            ]
            return build(path, file, self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two trajectories of three frames of a scalar on six cells."""
        target = path / "tiny.hdf5"
        with h5py.File(target, "w") as file:
            file["tensor"] = np.arange(36, dtype=np.float32).reshape(2, 3, 6)
            file["x-coordinate"] = (np.arange(6, dtype=np.float32) + 0.5) / 6
            file["t-coordinate"] = np.arange(4, dtype=np.float32) / 10
            file.attrs["Nu"] = 0.01
        return target


def _family(file: h5py.File) -> str | None:
    names = set(file)
    if {"nu", "tensor"} <= names:
        return "Darcy"
    if {"density", "pressure", "Vx", "x-coordinate"} <= names:
        return "CFD"
    if {"tensor", "x-coordinate", "t-coordinate"} <= names:
        return "scalar 1-D"
    seeds = [n for n in names if re.fullmatch(r"\d{4}", n)]
    if seeds and all(isinstance(file[s], h5py.Group) and "grid" in file[s] for s in seeds):
        return "per-seed" if all("data" in file[s] for s in seeds) else None
    return None


def _axis(path: Path, group: h5py.Group, key: str, name: str, periodic: bool | None) -> Axis:
    if key not in group:
        raise DataError(path, f"the coordinate {group.name}/{key} is missing")
    return Axis.through(name, group[key][()], "cell", periodic)


def _trim(path: Path, times: NDArray[Any], frames: int) -> tuple[NDArray[np.float64], list[str]]:
    times = np.asarray(times, dtype=np.float64)
    if len(times) == frames:
        return times, []
    if len(times) != frames + 1:
        raise DataError(path, f"{frames} frames but {len(times)} times")
    return times[:-1], [TRIMMED]


def _named_params(file: h5py.File, n: int) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    values = {k: np.full(n, float(v)) for k, v in file.attrs.items() if k in PARAMETERS}
    return values, dict.fromkeys(values, "attribute of the file")


def _evolving(
    path: Path,
    file: h5py.File,
    reason: str,
    variables: list[Variable],
    arrays: dict[str, tuple[Stored, ...]],
    boundary: tuple[Boundary, ...] = (),
) -> Layout:
    """A layout of family A whose variables all have the axes (n, T, *N)."""
    n, frames = next(iter(arrays.values()))[0].shape[:2]
    times, notes = _trim(path, file["t-coordinate"][()], frames)
    values, provenance = _named_params(file, n)
    schema = Schema(
        (*variables, *(Variable(k, role="param") for k in values)),
        boundary,
        uniform_step(times),
        name=path.stem,
    )
    part = Part(str(path), n, np.full(n, frames), arrays, times, values)
    if boundary:
        notes.append("the boundary is taken from the file's name")
    return Layout(schema, (part,), "pdebench", reason, tuple(notes), {}, provenance)


def _scalar(path: Path, file: h5py.File, reason: str) -> Layout:
    tensor = file["tensor"]
    if tensor.ndim != 3:
        raise DataError(path, f"a scalar 1-D tensor must be (n, T, X), got {tensor.shape}")
    grid = Grid((_axis(path, file, "x-coordinate", "x", None),))
    u = Variable("u", grid, location="cell", time_varying=True)
    return _evolving(
        path, file, reason, [u], {"u": (stored(path, tensor, ("sample", "time", "x")),)}
    )


def _cfd(path: Path, file: h5py.File, reason: str) -> Layout:
    dimension = file["density"].ndim - 2
    if not 1 <= dimension <= 3:
        raise DataError(path, f"density must be (n, T, X[, Y, Z]), got {file['density'].shape}")
    names = SPACE[:dimension]
    words = re.split(r"[_.]", path.name)
    kind = "periodic" if "periodic" in words else "open" if "trans" in words else None
    periodic = None if kind is None else kind == "periodic"
    grid = Grid(tuple(_axis(path, file, f"{a}-coordinate", a, periodic) for a in names))
    axes = ("sample", "time", *names)
    velocity = tuple(f"V{a}" for a in names)
    missing = [k for k in ("pressure", *velocity) if k not in file]
    if missing:
        raise DataError(path, f"a {dimension}-D CFD file must hold {missing}")
    arrays: dict[str, tuple[Stored, ...]] = {
        k: (stored(path, file[k], axes),) for k in ("density", "pressure")
    }
    arrays["velocity"] = tuple(stored(path, file[k], axes) for k in velocity)
    variables = [
        Variable("density", grid, location="cell", time_varying=True),
        Variable("pressure", grid, location="cell", time_varying=True),
        Variable("velocity", grid, components=(dimension,), location="cell", time_varying=True),
    ]
    boundary = tuple(Boundary(a, side, kind) for a in names for side in SIDES if kind is not None)
    return _evolving(path, file, reason, variables, arrays, boundary)


def _darcy(path: Path, file: h5py.File, reason: str) -> Layout:
    nu, u = file["nu"], file["tensor"]
    if nu.ndim != 3 or u.ndim != 4 or u.shape[1] != 1:
        raise DataError(
            path, f"expected nu (n, X, Y), tensor (n, 1, X, Y), got {nu.shape}, {u.shape}"
        )
    grid = Grid(tuple(_axis(path, file, f"{a}-coordinate", a, None) for a in ("x", "y")))
    arrays = {
        "coefficient": (stored(path, nu, ("sample", "x", "y")),),
        "solution": (stored(path, u, ("sample", "", "x", "y")),),
    }
    values, provenance = _named_params(file, len(nu))
    variables = (
        Variable("coefficient", grid, "input", location="cell"),
        Variable("solution", grid, "target", location="cell"),
        *(Variable(k, role="param") for k in values),
    )
    part = Part(str(path), len(nu), np.ones(len(nu), dtype=np.int64), arrays, None, values)
    return Layout(
        Schema(variables, name=path.stem), (part,), "pdebench", reason, (), {}, provenance
    )


def _seeds(path: Path, file: h5py.File, reason: str) -> Layout:
    names = sorted(n for n in file if re.fullmatch(r"\d{4}", n))
    first = file[names[0]]
    axes = _seed_axes(path, first)
    grid = Grid(tuple(_axis(path, first["grid"], a, a, None) for a in axes))
    width = first["data"].shape[-1]
    fields = SPECIES.get(width, tuple(f"u{k}" for k in range(width)) if width > 1 else ("u",))
    config = _config(path, first)
    values = {
        k: float(v)
        for k, v in config.items()
        if isinstance(v, (int, float)) and not isinstance(v, bool) and k in PHYSICAL
    }
    parts, notes = [], []
    for name in names:
        group = file[name]
        if group["data"].shape[1:] != first["data"].shape[1:]:
            raise DataError(
                path,
                f"/{name}/data is {group['data'].shape}, /{names[0]}/data {first['data'].shape}",
            )
        frames = group["data"].shape[0]
        times, extra = _trim(path, group["grid/t"][()], frames)
        notes += extra
        last = len(axes) + 1
        arrays = {
            f: (stored(path, group["data"], ("time", *axes, "component"), ((last, k),)),)
            for k, f in enumerate(fields)
        }
        params = {k: np.array([v]) for k, v in values.items()}
        parts.append(Part(f"{path}:/{name}", 1, np.array([frames]), arrays, times, params))
    if axes == ("y", "x"):
        notes.append(SWAPPED)
    variables = [Variable(f, grid, location="cell", time_varying=True) for f in fields]
    steps = {uniform_step(p.times) for p in parts if p.times is not None}
    schema = Schema(
        (*variables, *(Variable(k, role="param") for k in values)),
        dt=steps.pop() if len(steps) == 1 else None,
        name=path.stem,
    )
    provenance = dict.fromkeys(values, "YAML in the attribute config, section sim")
    return Layout(
        schema, tuple(parts), "pdebench", reason, tuple(dict.fromkeys(notes)), {}, provenance
    )


PHYSICAL = {"D", "Du", "Dv", "k", "por", "rho_s", "k_f", "n_f", "sol", "inner_height", "dam_radius"}


def _seed_axes(path: Path, group: h5py.Group) -> tuple[str, ...]:
    """Stored order of the spatial axes: two species mean diff-react, which is (t, y, x, v)."""
    data = group["data"]
    if data.ndim == 3:
        return ("x",)
    if data.ndim != 4:
        raise DataError(path, f"{data.name} must be (T, X, C) or (T, X, Y, C), got {data.shape}")
    axes = ("y", "x") if data.shape[-1] == 2 else ("x", "y")
    sizes = tuple(len(group["grid"][a]) for a in axes)
    if data.shape[1:3] != sizes:
        raise DataError(
            path, f"{data.name} is {data.shape}, but its coordinates {axes} have the sizes {sizes}"
        )
    return axes


def _config(path: Path, group: h5py.Group) -> dict[str, Any]:
    """The section ``sim`` of the YAML text beside the data; empty where there is none."""
    if "config" not in group.attrs:
        return {}
    try:
        tree = parse_yaml(text(group.attrs["config"]), f"{path}:{group.name}@config")
    except ConfigError as error:
        raise DataError(path, str(error)) from None
    sim = tree.get("sim", {}) if isinstance(tree, dict) else {}
    return sim if isinstance(sim, dict) else {}
