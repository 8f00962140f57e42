"""BubbleML's HDF5 files: one simulation of boiling a file (Flash-X).

    temperature, velx, vely, dfun, pressure[, massflux, normx, normy]   (T, Y, X) each
    x, y                (T, Y, X): cell centres, the same in every frame
    real-runtime-params, int-runtime-params   (name, value) records

The order of the axes is that of the published documentation and of the writer (boxkit_dataset.py);
an earlier text says (T, X, Y).  Temperature is non-dimensional, 0 to 1 between liquid and heater;
where studies vary the heater, its temperature in degrees Celsius stands in the name
(``Twall-100``) and multiplies it.  ``pressure`` is the pressure gradient according to the
documentation; dfun is the signed distance to the interface, positive in vapour.  The outermost
cells lie beside the boundary, which is not stored.  Times are not stored (1 or 0.1
non-dimensional units a frame, which the file does not tell); the first 30 (300) frames are not
steady.  Fields may hold NaN, which BubbleML's own loader replaces by 0; here they stay.
Source: HPCForge/BubbleML (MIT), bubbleml_data/DOCS.md, sciml/op_lib/hdf5_dataset.py,
scripts/boxkit_dataset.py; Hassan et al., BubbleML, NeurIPS 2023 (arXiv 2307.14623).
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Variable
from sciops.data.formats._structure import (
    array,
    as_number,
    files,
    is_array,
    line,
    recognised,
    same_shape,
    structure,
)
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored, text, values
from sciops.data.layout import Format, Layout, Part, Stored

AXES = ("time", "y", "x")
NEEDED = ("temperature", "velx", "vely", "dfun", "pressure")
VECTORS = {"velocity": ("velx", "vely"), "normal": ("normx", "normy")}
SCALARS = ("temperature", "pressure", "dfun", "massflux")
PHYSICAL = (
    "ins_invreynolds", "mph_stefan", "ht_prandtl", "mph_tsat", "ht_tbulk", "ht_twall_high",
    "ht_twall_low", "mph_cpgas", "mph_rhogas", "mph_thcogas",
)  # fmt: skip
NOTES = (
    "temperature is non-dimensional (0 to 1); times are not stored",
    "pressure is the pressure gradient according to the documentation",
)


class BubbleML(Format):
    """Simulations of BubbleML, one file or the folder of a study."""

    title = "BubbleML HDF5 (one simulation a file)"
    source = "HPCForge/BubbleML, bubbleml_data/DOCS.md; arXiv 2307.14623"

    def recognises(self, path: Path) -> str | None:
        """The fields by Flash-X's names, and coordinates that are as large as they."""
        return recognised(path, _reason)

    def layout(self, path: Path) -> Layout:
        """The layout of one simulation, or of all of a study."""
        contents = [_content(file) for file in files(path)]
        return joined(path, contents, "bubbleml", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Three frames on 4 rows and 6 columns."""
        target = path / "Twall-100.hdf5"
        y, x = np.meshgrid(np.arange(4) + 0.5, np.arange(6) + 0.5, indexing="ij")
        with h5py.File(target, "w") as file:
            for k, name in enumerate(NEEDED):
                file[name] = np.arange(72.0).reshape(3, 4, 6) + 100 * k
            file["x"], file["y"] = np.stack([x] * 3), np.stack([y] * 3)
        return target


def _reason(file: h5py.File) -> str | None:
    fit = all(is_array(file, name, 3) for name in (*NEEDED, "x", "y"))
    return f"HDF5 with {', '.join(NEEDED)}, x, y (T, Y, X), as BubbleML" if fit else None


def _content(path: Path) -> Content:
    with structure(path), opened(path) as file:
        names = [*NEEDED, *(k for k in ("massflux", "normx", "normy") if k in file), "x", "y"]
        data = {k: array(path, file, k, "(T, Y, X)") for k in names}
        frames, ny, nx = same_shape(path, data)
        grid = Grid((_axis(path, data["y"], "y", ny), _axis(path, data["x"], "x", nx)))
        fields: dict[str, tuple[Stored, ...]] = {
            k: (stored(path, data[k], AXES),) for k in SCALARS if k in data
        }
        for name, parts in VECTORS.items():
            if all(k in data for k in parts):
                fields[name] = tuple(stored(path, data[k], AXES) for k in parts)
        params = _runtime(path, file)
    provenance = dict.fromkeys(params, "data set real-runtime-params")
    wall = re.search(r"Twall-(\d+(?:\.\d+)?)", path.stem)
    if wall is not None:
        params["wall_temperature"] = np.array([float(wall[1])])
        provenance["wall_temperature"] = "file name"
    variables = tuple(
        Variable(
            k, grid, components=(2,) if k in VECTORS else (), location="cell", time_varying=True
        )
        for k in fields
    )
    part = Part(str(path), 1, np.array([frames]), fields, None, params)
    units = {"wall_temperature": "degC"}
    return Content(path, variables, (part,), notes=NOTES, provenance=provenance, units=units)


def _axis(path: Path, data: h5py.Dataset, name: str, n: int) -> Axis:
    """The axis whose coordinates are stored at every point: they may vary along it only."""
    along = (lambda k: (0, slice(None), k)) if name == "y" else (lambda k: (0, k, slice(None)))
    first, last = line(path, data, along(0)), line(path, data, along(-1))
    if len(first) != n or not np.array_equal(first, last):
        raise DataError(path, f"{data.name} must vary along its own axis only; it is (T, Y, X)")
    return Axis.through(name, first, "cell")


def _runtime(path: Path, file: h5py.File) -> dict[str, NDArray[np.float64]]:
    """The physical ones among the runtime parameters: records of a name and a number."""
    found: dict[str, NDArray[np.float64]] = {}
    data = file.get("real-runtime-params")
    if not isinstance(data, h5py.Dataset) or len(data.dtype.names or ()) != 2:
        return found
    for record in values(path, data).reshape(-1):
        name, value = text(record[0]).strip(), as_number(record[1])
        if name in PHYSICAL and value is not None:
            found[name] = np.array([value])
    return found
