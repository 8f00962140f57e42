"""netCDF of either kind as dimensions, variables and attributes.

Classic files (netCDF-3) are read through scipy and memory maps, netCDF-4 files are HDF5 whose
dimension scales name the axes.  What CF says about numbers is applied here:

    value = stored * scale_factor + add_offset,   _FillValue or missing_value -> NaN

Source: netCDF User's Guide; CF Conventions 1.11, sections 2.5 and 8.1; netCDF-4 in HDF5:
docs.unidata.ucar.edu, "Creating netCDF-4 Files with HDF5".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis
from sciops.data import hdf5
from sciops.data.containers import netcdf3
from sciops.data.contents import small
from sciops.data.formats._structure import LONGEST, as_number, counted, structure
from sciops.data.formats._well import uniform_step
from sciops.data.layout import Packing, Stored

NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
RENAMED = "_nc4_non_coord_"  # before a variable that has the name of another dimension
LARGEST = 1 << 16  # characters of an attribute
EAST = ("degrees_east", "degree_east", "degrees_E", "degree_E", "degreesE", "degreeE")
FULL_CIRCLE = 360.0


@dataclass(frozen=True)
class Raw:
    """One variable: its dimensions, its attributes, and where it is stored; None for text."""

    dims: tuple[str, ...]
    attrs: Mapping[str, Any]
    stored: Stored | None

    def word(self, name: str) -> str:
        """A text attribute; the empty string where there is none."""
        return word(self.attrs, name)


@dataclass(frozen=True)
class File:
    """Name -> length of the dimensions; the variables of the root group; global attributes."""

    path: Path
    sizes: Mapping[str, int]
    variables: Mapping[str, Raw]
    attrs: Mapping[str, Any]
    groups: tuple[str, ...] = ()

    def numbers(self, name: str) -> NDArray[np.float64]:
        """All values of a small variable, unpacked."""
        raw = self.variables[name]
        stored = decoded(self.path, name, raw)
        values = small(self.path, stored)
        packing = stored.packing
        found = values.astype(np.float64)
        if packing is not None:
            found = found * packing.scale + packing.shift
            if packing.missing is not None:
                found[values == packing.missing] = np.nan
        return found


def word(attrs: Mapping[str, Any], name: str) -> str:
    """A text attribute; the empty string where there is none."""
    value = attrs.get(name)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return hdf5.text(value)[:LARGEST] if isinstance(value, (str, bytes)) else ""


def read(path: Path) -> File | None:
    """What a netCDF file holds; None where it is none.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    if netcdf3.is_container(path):
        return _classic(path)
    if not hdf5.is_hdf5(path):
        return None
    with hdf5.opened(path) as file, structure(path):
        try:
            return _scaled(path, file)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise DataError(path, f"damaged dimension scales ({error})") from None


def _classic(path: Path) -> File:
    arrays = netcdf3.arrays(path)
    with netcdf3.opened(path) as file:
        variables = {
            name: Raw(tuple(v.dimensions), dict(v._attributes), arrays.get(name))
            for name, v in file.variables.items()
        }
        sizes = {name: int(n or 0) for name, n in file.dimensions.items()}
        for raw in variables.values():
            if raw.stored is not None:
                sizes |= dict(zip(raw.dims, raw.stored.shape, strict=True))  # records have None
        return File(path, sizes, variables, dict(file._attributes))


def _scaled(path: Path, file: h5py.File) -> File | None:
    """HDF5 with dimension scales at the root; None where no variable has all its axes named."""
    kinds = {name: file.get(name, getclass=True) for name in file}
    members = {name: file[name] for name, kind in kinds.items() if kind is h5py.Dataset}
    scales = {name: m for name, m in members.items() if is_scale(m)}
    if not scales:
        return None
    numbered = {
        int(number): name
        for name, m in scales.items()
        if (number := _attribute(m, "_Netcdf4Dimid")) is not None
    }
    variables: dict[str, Raw] = {}
    for name, member in members.items():
        attrs = {k: _attribute(member, k) for k in member.attrs}
        if name in scales and word(attrs, "NAME").startswith(NO_VARIABLE):
            continue
        dims = _dims(name, member, numbered, name in scales)
        numeric = member.shape is not None and member.dtype.kind in "fiubc"
        if "" in dims or member.shape is None:
            return None
        one = hdf5.stored(path, member, ("?",) * member.ndim) if numeric else None
        variables[name.removeprefix(RENAMED)] = Raw(dims, attrs, one)
    sizes = {name: int(m.shape[0]) for name, m in scales.items() if m.shape}
    attrs = {k: _attribute(file, k) for k in file.attrs}
    groups = tuple(name for name, kind in kinds.items() if kind is h5py.Group)
    return File(path, sizes, variables, attrs, groups)


def _attribute(item: Any, name: str) -> Any:
    """An attribute; None where it is of a kind that h5py cannot read."""
    try:
        return item.attrs[name]
    except (OSError, KeyError, TypeError, ValueError, RuntimeError):
        return None


def is_scale(member: h5py.Dataset) -> bool:
    """Whether an array is a dimension scale; by its attribute, since HDF5's own test can crash."""
    return word({"CLASS": _attribute(member, "CLASS")}, "CLASS") == "DIMENSION_SCALE"


def _dims(
    name: str, member: h5py.Dataset, numbered: Mapping[int, str], scale: bool
) -> tuple[str, ...]:
    """Names of the dimensions; "" for one without a name."""
    numbers = np.atleast_1d(_attribute(member, "_Netcdf4Coordinates"))
    if len(numbers) == member.ndim and all(k in numbered for k in numbers.tolist()):
        return tuple(numbered[k] for k in numbers.tolist())
    if scale:
        return (name,) if member.ndim == 1 else ("",) * member.ndim
    attached = _attribute(member, "DIMENSION_LIST") if "DIMENSION_LIST" in member.attrs else []
    if len(attached) != member.ndim:
        return ("",) * member.ndim
    found = [member.file[refs[0]].name if len(refs) else None for refs in attached]
    return tuple((found_name or "").rsplit("/", 1)[-1] for found_name in found)


def length(file: File, dim: str) -> int:
    """Length of a dimension that is used; DataError where it is none."""
    n = file.sizes[dim]
    if not 1 <= n <= LONGEST:
        raise DataError(file.path, f"the dimension {dim!r:.60} has the length {n}; refused")
    return n


def axis(file: File, dim: str, notes: list[str]) -> tuple[Axis, bool]:
    """The axis of a dimension, and whether its coordinates are stored falling.

    It is periodic where it counts degrees to the east all round.  A dimension whose coordinates are
    missing, or neither rise nor fall strictly, is counted from 0, with a note.
    """
    n, raw = length(file, dim), file.variables.get(dim)
    if raw is None or raw.dims != (dim,) or raw.stored is None or raw.stored.shape != (n,):
        notes.append(f"{dim} has no coordinates; its points are counted from 0")
        return counted(dim, n), False
    x = file.numbers(dim)
    falls = n > 1 and bool((np.diff(x) < 0).all())
    x = x[::-1] if falls else x
    if not np.isfinite(x).all() or (np.diff(x) <= 0).any():
        notes.append(f"{dim} neither rises nor falls strictly; its points are counted")
        return counted(dim, n), False
    if falls:
        notes.append(f"{dim} is stored falling and is turned round")
    unit = raw.word("units") or None
    step = uniform_step(x)
    around = unit in EAST and step is not None and abs(n * step - FULL_CIRCLE) < 1e-3 * step
    return Axis.through(dim, x, periodic=True if around else None, unit=unit), falls


def decoded(path: Path, name: str, raw: Raw) -> Stored:
    """The stored array with what the attributes say about its numbers."""
    stored = raw.stored
    assert stored is not None
    if raw.word("dtype") == "bool":
        return replace(stored, take="bool")
    kind = np.dtype(stored.dtype)
    if raw.word("_Unsigned").lower() == "true" and kind.kind == "i":
        if stored.container != "netcdf3":
            raise DataError(path, f"{name} is marked _Unsigned, which is read in netCDF-3 only")
        stored = replace(stored, dtype=kind.str.replace("i", "u"))
        kind = np.dtype(stored.dtype)
    scale, shift = (_factor(path, name, raw, k) for k in ("scale_factor", "add_offset"))
    missing = _missing(raw, kind)
    if (scale is None and shift is None and missing is None) or kind.kind == "c":
        return stored
    if kind.kind == "f" and scale is None and shift is None:
        dtype = kind.newbyteorder("<").str
    else:
        wide = np.asarray(raw.attrs.get("scale_factor", np.float32(1))).dtype.itemsize > 4
        dtype = "<f8" if wide or kind.itemsize > 2 else "<f4"
    packing = Packing(1.0 if scale is None else scale, 0.0 if shift is None else shift, missing)
    return replace(stored, packing=replace(packing, dtype=dtype))


def _factor(path: Path, name: str, raw: Raw, key: str) -> float | None:
    if key not in raw.attrs:
        return None
    value = as_number(raw.attrs[key])
    if value is None:
        raise DataError(path, f"{name}:{key} must be one finite number, got {raw.attrs[key]!r:.60}")
    return value


def _missing(raw: Raw, kind: np.dtype[Any]) -> float | None:
    """The number that stands for no value; None where there is none or it is NaN itself."""
    for key in ("_FillValue", "missing_value"):
        value = as_number(raw.attrs.get(key))
        if value is not None:
            if kind.kind == "u" and value < 0:
                value += 2.0 ** (8 * kind.itemsize)
            return value
    return None
