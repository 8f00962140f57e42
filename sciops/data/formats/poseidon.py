"""PDEgym, the data of Poseidon: netCDF-4 files with one or two variables and no coordinates.

    velocity (sample, time, channel, x, y)   u, v [, tracer]                       NS-*
    solution (sample, time, channel, x, y)   u, v                                  FNS-KF
                                             density, u, v, pressure, tracer       CE-RM
                                             .. and gravitational potential        GCE-RT
             (sample, time, x, y)            u                                     ACE, Wave-*
             (sample, channel, x, y)         airfoil, density (a static map)       SE-AF
             (sample, x, y)                  with source (sample, x, y)            Poisson-Gauss
    data     (sample, time, channel, x, y)   density, u, v, pressure [, energy]    CE-*
    c        (sample, x, y)                  wave speed, beside solution           Wave-*

The order is read from the dimension names of the file, which are those that PDEgym's own
assemble_data.py uses; a file without them is not recognised, since (time, x, y) and
(channel, x, y) could not be told apart.  Whether SE-AF and Poisson-Gauss carry these names is not
known.  The domain is the unit square; where its points lie is not stored: cell centres are
assumed.  End times (T = 1; 2 for CE-RM, 5 for GCE-RT, 2e-4 for ACE) stand in the data cards only,
so times are unknown.  Poseidon's loader swaps x and y of NS-SL.  Neither boundaries nor units are
given.
Source: camlab-ethz/poseidon, scOT/problems; data cards of camlab-ethz on Hugging Face
(CC BY-NC 4.0); Herde et al., Poseidon, NeurIPS 2024 (arXiv 2405.19101).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Role, Variable
from sciops.data.formats._structure import array, attribute, recognised, structure
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored, text
from sciops.data.layout import Format, Layout, Part, Stored

NAMES = ("velocity", "solution", "data", "source", "c")
ORDERS = (
    ("sample", "time", "channel", "x", "y"),
    ("sample", "time", "x", "y"),
    ("sample", "channel", "x", "y"),
    ("sample", "x", "y"),
)
CHANNELS = {  # (variable, whether it evolves, number of channels) -> what they are
    ("velocity", True, 2): ("u", "v"),
    ("velocity", True, 3): ("u", "v", "tracer"),
    ("solution", True, 2): ("u", "v"),
    ("solution", True, 5): ("density", "u", "v", "pressure", "tracer"),
    ("solution", True, 6): ("density", "u", "v", "pressure", "tracer", "gravitational_potential"),
    ("solution", False, 2): ("airfoil", "density"),
    ("data", True, 4): ("density", "u", "v", "pressure"),
    ("data", True, 5): ("density", "u", "v", "pressure", "energy"),
}
PLAIN = {"solution": "u", "source": "source", "c": "wave_speed"}  # without channels
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
NOTES = ("points are not stored; cell centres of the unit square are assumed",)


class Poseidon(Format):
    """Assembled files of PDEgym, or their chunks."""

    title = "PDEgym netCDF-4 (Poseidon)"
    source = "camlab-ethz/poseidon, scOT/problems; arXiv 2405.19101"

    def recognises(self, path: Path) -> str | None:
        """PDEgym's variables on PDEgym's dimensions, which have no coordinates."""
        return recognised(path, _reason) if path.is_file() else None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        with structure(path), opened(path) as file:
            reason = _reason(file)
            if reason is None:
                raise DataError(
                    path,
                    f"expected some of the netCDF-4 variables {NAMES} on the dimensions "
                    f"{ORDERS[0]}, got {sorted(file)[:8]}",
                )
            content = _content(path, file)
        return joined(path, [content], "poseidon", reason)

    def write_tiny(self, path: Path) -> Path:
        """Two trajectories of three frames of u, v and a tracer on 4 x 6 points."""
        target = path / "tiny.nc"
        with h5py.File(target, "w") as file:
            file["velocity"] = np.arange(432, dtype=np.float32).reshape(2, 3, 3, 4, 6)
            for k, name in enumerate(ORDERS[0]):
                n = file["velocity"].shape[k]
                scale = file.create_dataset(name, shape=(n,), dtype=">f4")
                scale.make_scale(f"{NO_VARIABLE}. {n:9d}")
                file["velocity"].dims[k].attach_scale(scale)
        return target


def _order(data: h5py.Dataset) -> tuple[str, ...]:
    """Names of the dimensions of a netCDF variable; none where they cannot be told.

    The references are followed one by one: HDF5's own dimension scales crash at a dangling one.
    """
    listed = attribute(data.file.filename, data, "DIMENSION_LIST")
    try:
        return tuple(data.file[one[0]].name.lstrip("/") for one in np.atleast_1d(listed))
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OSError, RuntimeError):
        return ()


def _bare(item: h5py.Dataset) -> bool:
    """Whether it is a dimension without coordinates."""
    name = attribute(item.file.filename, item, "NAME")
    return name is not None and text(name).startswith(NO_VARIABLE)


def _reason(file: h5py.File) -> str | None:
    items = {name: file.get(name) for name in file}
    if not all(isinstance(item, h5py.Dataset) for item in items.values()):
        return None
    found = [name for name in items if name in NAMES]
    scales = [name for name in items if name not in NAMES]
    if not found or set(found) <= {"c", "source"} or not set(scales) <= set(ORDERS[0]):
        return None
    if not all(_bare(items[s]) for s in scales):
        return None
    if not all(_order(items[name]) in ORDERS for name in found):
        return None
    return f"netCDF-4 with {', '.join(found)} on sample, .., x, y without coordinates, as PDEgym"


def _content(path: Path, file: h5py.File) -> Content:
    fields: dict[str, tuple[Stored, ...]] = {}
    evolving: dict[str, bool] = {}
    sizes: dict[str, int] = {}
    for name in (k for k in NAMES if k in file):
        order = _order(file[name])
        data = array(path, file, name, f"({', '.join(order)})")
        for axis, n in zip(order, data.shape, strict=True):
            if axis != "channel" and sizes.setdefault(axis, n) != n:
                raise DataError(path, f"/{name} has {n} entries along {axis}, not {sizes[axis]}")
        parts = _fields(path, name, data, order)
        fields |= parts
        evolving |= dict.fromkeys(parts, "time" in order)
    grid = Grid((Axis.uniform("x", sizes["x"]), Axis.uniform("y", sizes["y"])))
    variables = tuple(
        Variable(
            k,
            grid,
            _role(k, evolving[k], any(evolving.values())),
            components=(2,) if k == "velocity" else (),
            time_varying=evolving[k],
        )
        for k in fields
    )
    lengths = np.full(sizes["sample"], sizes.get("time", 1))
    part = Part(str(path), sizes["sample"], lengths, fields)
    return Content(path, variables, (part,), notes=NOTES)


def _role(name: str, evolves: bool, any_evolves: bool) -> Role:
    if evolves:
        return "state"
    if name == "airfoil":
        return "geometry"
    return "input" if any_evolves or name == "source" else "target"


def _fields(
    path: Path, name: str, data: h5py.Dataset, order: tuple[str, ...]
) -> dict[str, tuple[Stored, ...]]:
    """The variables that one array holds; the channels u and v become the velocity."""
    if "channel" not in order:
        if name not in PLAIN:
            raise DataError(path, f"/{name} must have a dimension channel, got {order}")
        return {PLAIN[name]: (stored(path, data, order),)}
    axis = order.index("channel")
    key = (name, "time" in order, int(data.shape[axis]))
    if key not in CHANNELS:
        known = [k[2] for k in CHANNELS if k[:2] == key[:2]]
        raise DataError(path, f"/{name} has {key[2]} channels; known are {known or 'none'}")
    axes = tuple("component" if a == "channel" else a for a in order)
    one = {k: stored(path, data, axes, ((axis, i),)) for i, k in enumerate(CHANNELS[key])}
    if "u" not in one:
        return {k: (s,) for k, s in one.items()}
    velocity = (one.pop("u"), one.pop("v"))
    return {"velocity": velocity} | {k: (s,) for k, s in one.items()}
