"""RealPDEBench's HDF5 files: one measured or simulated trajectory a file.

    flows                  measured_data/u, v[, p]   (T, H, W) each; p in simulations only
    combustion, measured   trajectory                (T, H, W): intensity of OH* light
                simulated  measured_data             (T, H, W, C) with channel_names (C)
                surrogate  measured_data             (T, H, W): intensity
    t or time (T)          where it is there

H are rows (y), W columns (x); which way y points is not documented.  Coordinates, units, boundaries
and often times are not stored.  The documentation gives time steps of 2.5e-3 s (cylinder,
controlled cylinder, foil), 2e-3 s (FSI) and 2.5e-4 s (combustion), which are not taken over.
Parameters stand in file names: ``<Re>``, ``<Re>_<second>``, ``<Re>_<mass ratio>_<..>_<..>`` (FSI),
``<percent of NH3>NH3_<equivalence ratio>``.  The second number is the control frequency in Hz or
the angle of attack in degrees; the folder ``controlled_cylinder`` or ``foil`` tells which.
Splits are lists of windows in other files and are not read.
Source: AI4Science-WestlakeU/RealPDEBench (CC BY-NC 4.0), realpdebench/data and
utils/convert_hdf5_to_hf.py; realpdebench.github.io/datasets; arXiv 2601.01829.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Grid, Variable
from sciops.data.formats._structure import (
    COUNTED,
    array,
    attribute,
    counted,
    files,
    is_array,
    numbers,
    recognised,
    same_shape,
    structure,
)
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored, texts, values
from sciops.data.layout import Format, Layout, Part, Stored

DATA = "measured_data"
AXES = ("time", "y", "x")
FUEL = re.compile(r"(\d+)NH3_(\d+(?:\.\d+)?)")
FLOW = re.compile(r"\d+(?:_\d+(?:\.\d+)?){0,3}")
SECOND = {"controlled_cylinder": "control_frequency", "foil": "angle_of_attack"}
UNITS = {"NH3": "%", "control_frequency": "Hz", "angle_of_attack": "degree"}
UNNAMED = "the file's name does not say what its later numbers are; they are called parameter_2, .."


class RealPDEBench(Format):
    """Trajectories of RealPDEBench, one file or a folder of one kind."""

    title = "RealPDEBench HDF5 (one trajectory a file)"
    source = "AI4Science-WestlakeU/RealPDEBench; realpdebench.github.io; arXiv 2601.01829"

    def recognises(self, path: Path) -> str | None:
        """The group or array measured_data, or the array trajectory alone."""
        return recognised(path, _reason)

    def layout(self, path: Path) -> Layout:
        """The layout of one trajectory, or of all files of a folder."""
        contents = [_content(file) for file in files(path)]
        return joined(path, contents, "realpdebench", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """One simulated trajectory of three frames on 4 rows and 6 columns."""
        target = path / "1800.h5"
        with h5py.File(target, "w") as file:
            for k, name in enumerate(("u", "v", "p")):
                field = np.arange(72, dtype=np.float32).reshape(3, 4, 6) + 100 * k
                file[f"{DATA}/{name}"] = field
        return target


def _kind(file: h5py.File) -> str | None:
    if is_array(file.get(DATA), "u", 3) and is_array(file[DATA], "v", 3):
        return "flow"
    if is_array(file, DATA, 4) and _has_names(file):
        return "channels"
    if is_array(file, DATA, 3):
        return "surrogate"
    others = set(file) - {"trajectory", "t", "time"}
    return "intensity" if is_array(file, "trajectory", 3) and not others else None


def _has_names(file: h5py.File) -> bool:
    return "channel_names" in file or any("channel_names" in i.attrs for i in (file, file[DATA]))


def _reason(file: h5py.File) -> str | None:
    kind = _kind(file)
    what = {"flow": f"u and v in {DATA}", "channels": f"{DATA} with channel_names"}
    name = "trajectory" if kind == "intensity" else DATA
    return None if kind is None else f"HDF5 with {what.get(kind, f'the array {name}')} (T, H, W)"


def _content(path: Path) -> Content:
    with structure(path), opened(path) as file:
        kind = _kind(file)
        if kind == "flow":
            fields, shape = _flow(path, file[DATA])
        elif kind == "channels":
            fields, shape = _channels(path, file)
        elif kind is not None:
            name = "trajectory" if kind == "intensity" else DATA
            data = array(path, file, name, "(T, H, W)")
            fields, shape = {"intensity": (stored(path, data, AXES),)}, data.shape
        else:
            raise DataError(
                path,
                f"expected {DATA}/u and v (T, H, W), {DATA} with channel_names, or trajectory, "
                f"got {sorted(file)[:8]}",
            )
        times = _times(path, file, shape[0])
    grid = Grid((counted("y", shape[1]), counted("x", shape[2])))
    variables = tuple(
        Variable(k, grid, components=(2,) if k == "velocity" else (), time_varying=True)
        for k in fields
    )
    params, notes = _parameters(path)
    part = Part(str(path), 1, np.array([shape[0]]), fields, times, params)
    return Content(
        path,
        variables,
        (part,),
        notes=(COUNTED, *notes),
        provenance=dict.fromkeys(params, "file name"),
        units=UNITS,
    )


def _flow(path: Path, group: h5py.Group) -> tuple[dict[str, tuple[Stored, ...]], tuple[int, ...]]:
    names = ("u", "v", "p") if "p" in group else ("u", "v")
    data = {k: array(path, group, k, "(T, H, W)") for k in names}
    shape = same_shape(path, data)
    fields = {"velocity": tuple(stored(path, data[k], AXES) for k in ("u", "v"))}
    if "p" in data:
        fields["pressure"] = (stored(path, data["p"], AXES),)
    return fields, shape


def _channels(path: Path, file: h5py.File) -> tuple[dict[str, tuple[Stored, ...]], tuple[int, ...]]:
    data = array(path, file, DATA, "(T, H, W, C)")
    listed = file.get("channel_names")
    if listed is None:
        listed = attribute(path, data, "channel_names")
    if listed is None:
        listed = attribute(path, file, "channel_names")
    names = texts(values(path, listed) if isinstance(listed, h5py.Dataset) else listed)
    if len(names) != data.shape[3] or len(set(names)) != len(names):
        raise DataError(
            path, f"{data.shape[3]} channels need as many different names, got {names[:20]}"
        )
    axes = (*AXES, "component")
    return {k: (stored(path, data, axes, ((3, i),)),) for i, k in enumerate(names)}, data.shape


def _times(path: Path, file: h5py.File, frames: int) -> NDArray[np.float64] | None:
    for group in (file, file.get(DATA)):
        for name in ("t", "time"):
            if is_array(group, name, 1):
                return numbers(path, group, name, (frames,))
    return None


def _parameters(path: Path) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    fuel = FUEL.fullmatch(path.stem)
    if fuel is not None:
        found = {"NH3": float(fuel[1]), "equivalence_ratio": float(fuel[2])}
        return {k: np.array([v]) for k, v in found.items()}, []
    if FLOW.fullmatch(path.stem) is None:
        return {}, ["the file's name holds no parameters that are known"]
    numbers_ = [float(word) for word in path.stem.split("_")]
    second = next((SECOND[p.name] for p in path.parents if p.name in SECOND), "parameter_2")
    names = ["Re", "mass_ratio" if len(numbers_) == 4 else second, "parameter_3", "parameter_4"]
    found = dict(zip(names, numbers_, strict=False))
    unnamed = any(k.startswith("parameter_") for k in found)
    return {k: np.array([v]) for k, v in found.items()}, [UNNAMED] if unnamed else []
