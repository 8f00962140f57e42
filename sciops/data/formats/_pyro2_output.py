"""One output of pyro2: what a file says, checked; see `pyro2` for the schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Side
from sciops.data.formats._structure import LONGEST, array, as_number, attribute, number, structure
from sciops.data.hdf5 import opened, stored, text, values
from sciops.data.layout import Stored

KINDS = {
    "outflow": "outflow",
    "periodic": "periodic",
    "reflect": "symmetry",
    "reflect-even": "symmetry",
    "reflect-odd": "symmetry",
    "dirichlet": "dirichlet",
    "neumann": "neumann",
}
KEYS: dict[str, tuple[str, Side]] = {
    "xlb": ("x", "lower"),
    "xrb": ("x", "upper"),
    "ylb": ("y", "lower"),
    "yrb": ("y", "upper"),
}
RUNTIME = "runtime parameters"


@dataclass(frozen=True)
class Output:
    """One file: its variables by pyro's names, the kinds of their boundaries, and the rest."""

    path: Path
    arrays: dict[str, Stored]
    kinds: dict[str, tuple[str, ...]]  # in the order of KEYS
    axes: tuple[Axis, Axis]
    time: float | None
    params: dict[str, float]
    notes: tuple[str, ...]
    attributes: dict[str, str]


def reason(file: h5py.File) -> str | None:
    groups = [file.get(name) for name in ("grid", "aux", "state")]
    if not all(isinstance(group, h5py.Group) for group in groups):
        return None
    grid, _, state = groups
    fit = len(state) and all(
        isinstance(state.get(name), h5py.Group) and all(k in state[name].attrs for k in KEYS)
        for name in state
    )
    fit = fit and all(k in grid.attrs for k in ("nx", "ny", "xmin", "xmax", "ymin", "ymax"))
    return "HDF5 with grid, aux and state/<name> with xlb, xrb, ylb, yrb, as pyro2" if fit else None


def read(path: Path) -> Output:
    with structure(path), opened(path) as file:
        if reason(file) is None:
            raise DataError(path, f"expected the groups grid, aux, state, got {sorted(file)[:8]}")
        _refuse_spherical(path, file)
        arrays: dict[str, Stored] = {}
        kinds: dict[str, tuple[str, ...]] = {}
        notes: list[str] = []
        for name, group in file["state"].items():
            data = array(path, group, "data", "(X, Y)")
            arrays[name] = stored(path, data, ("x", "y"))
            kinds[name] = tuple(_kind(path, file, group, key, notes) for key in KEYS)
        for other in ("particles", "face-centered-state"):
            if other in file:
                notes.append(f"the group {other} is not read")
        axes = tuple(_axis(path, file["grid"], a, kinds) for a in ("x", "y"))
        shape = tuple(a.size for a in axes)
        for one in arrays.values():
            if one.shape != shape:
                raise DataError(
                    path,
                    f"{one.key} must be (nx, ny) = {shape} without ghost cells, got {one.shape}",
                )
        params = _parameters(path, file)
        attributes = {
            k: text(v) for k in ("solver", "problem") if (v := attribute(path, file, k)) is not None
        }
        runtime = file.get(RUNTIME)
        if runtime is not None:
            attributes["runtime_parameters"] = json.dumps(
                {k: text(attribute(path, runtime, k)) for k in sorted(runtime.attrs)}
            )
        time = number(path, file, "time")
    assert len(axes) == 2
    return Output(path, arrays, kinds, axes, time, params, tuple(notes), attributes)


def _refuse_spherical(path: Path, file: h5py.File) -> None:
    runtime = file.get(RUNTIME)
    kind = None if runtime is None else attribute(path, runtime, "mesh.grid_type")
    if kind is not None and "spherical" in text(kind).lower():
        raise DataError(path, f"mesh.grid_type is {text(kind)}; only Cartesian grids are read")


def _kind(path: Path, file: h5py.File, group: h5py.Group, key: str, notes: list[str]) -> str:
    name = text(attribute(path, group, key))
    if name in KINDS:
        return KINDS[name]
    own = file.get("BC")
    solid = own.get(name) if isinstance(own, h5py.Group) else None
    wall = isinstance(solid, h5py.Dataset) and solid.shape == () and bool(values(path, solid))
    axis, side = KEYS[key]
    notes.append(
        f"{name!r} is a boundary condition of the problem's own on the {side} side of {axis}; it "
        f"is {'solid, a wall' if wall else 'not known here'}"
    )
    return "wall" if wall else "unknown"


def _axis(path: Path, group: h5py.Group, name: str, kinds: dict[str, tuple[str, ...]]) -> Axis:
    n, lower, upper = (number(path, group, k) for k in (f"n{name}", f"{name}min", f"{name}max"))
    if n is None or lower is None or upper is None or n != int(n) or not 1 <= n <= LONGEST:
        raise DataError(path, f"grid must have the numbers n{name}, {name}min and {name}max")
    sides = [k for k, (axis, _) in enumerate(KEYS.values()) if axis == name]
    found = {of[k] for of in kinds.values() for k in sides}
    if "periodic" in found and found != {"periodic"}:
        raise DataError(path, f"some variables are periodic along {name} and some are {found}")
    periodic = None if "unknown" in found else "periodic" in found
    return Axis.uniform(name, int(n), lower, upper, "cell", periodic)


def _parameters(path: Path, file: h5py.File) -> dict[str, float]:
    found = {k: as_number(attribute(path, file["aux"], k)) for k in file["aux"].attrs}
    runtime, problem = file.get(RUNTIME), attribute(path, file, "problem")
    if runtime is not None and problem is not None:
        own = [k for k in runtime.attrs if k.startswith(f"{text(problem)}.")]
        found |= {k: as_number(attribute(path, runtime, k)) for k in own}
    return {k: v for k, v in found.items() if v is not None}
