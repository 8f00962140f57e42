"""Reading fields by sample and frame, from whatever container holds them.

    read(layout, "velocity", sample=3, frames=slice(4, 9))  ->  (5, *N, d)

The result has the axes (time, *grid, *components) in the schema's order and numbers in the
machine's byte order, whatever the stored orders are; static fields have no time axis.  Uncompressed
arrays are read through a memory map, chunked ones by `blocks`, which decompresses a chunk once for
several reads.  A read that asks for more than the memory budget is refused.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError, SciopsError
from sciops.core.schema import Variable
from sciops.data import blocks, budget, containers, hdf5
from sciops.data.damage import DAMAGE, said
from sciops.data.filters import missing
from sciops.data.layout import COMPONENTS, Layout, Part, Stored

_sources: OrderedDict[tuple[str | int, ...], Any] = OrderedDict()  # (file, key) -> array-like
MAX_SOURCES = 256


def read(layout: Layout, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
    """One field (or several frames of it) of one sample.

    Parameters
    ----------
    layout
        The data set.
    name
        A variable that is not a parameter.
    sample
        Its number in the layout.
    frames
        Which frames, for variables that vary in time.

    Returns
    -------
    ndarray
        (T, *N, *components) if the variable varies in time, else (*N, *components).  It may be
        a read-only view.

    Raises
    ------
    DataError
        If the file is damaged, or what is asked for does not fit the memory budget.
    """
    part, i = layout.locate(sample)
    frames = slice(*frames.indices(int(part.lengths[i])))
    return read_part(part, i, layout.schema[name], name, frames)


def read_part(part: Part, i: int, variable: Variable, name: str, frames: slice) -> NDArray[Any]:
    """What `read` gives, for sample i of a part; `frames` has a begin, an end and a step."""
    stored = part.arrays[name]
    if len(stored) == 1 and not variable.components:
        return _read(stored[0], variable, i, frames)
    arrays = [_read(s, variable, i, frames) for s in stored]
    if len(arrays) == 1 and "component" in stored[0].axes:
        return arrays[0]
    return np.stack(arrays, axis=-1).reshape(*arrays[0].shape, *variable.components)


def _read(stored: Stored, variable: Variable, sample: int, frames: slice) -> NDArray[Any]:
    index, sample_axis, time_axis, left = stored.index
    asked = list(index)
    if sample_axis is not None:
        asked[sample_axis] = sample
    if time_axis is not None:
        asked[time_axis] = frames
    values = _values(stored, tuple(asked))
    if stored.flipped or stored.packing or stored.padding or stored.take:
        values = _decoded(values, left, stored)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return _canonical(values, left, variable, frames)


def _values(stored: Stored, index: tuple[int | slice, ...]) -> NDArray[Any]:
    """stored[index], refused where it is too large; a view where the file is mapped."""
    found = source(stored)
    try:
        if isinstance(found, np.ndarray):
            return np.asarray(found[index])
        if stored.chunks is not None:
            return blocks.read(found, stored, index)
        asked = [
            len(range(*i.indices(n)))
            for i, n in zip(index, stored.shape, strict=True)
            if isinstance(i, slice)
        ]
        budget.require(
            asked, np.dtype(stored.dtype).itemsize, stored.path, f"a part of {stored.key}"
        )
        return np.asarray(found[index])
    except SciopsError:
        raise
    except DAMAGE as error:
        hint = missing(stored.filters)
        raise DataError(stored.path, f"cannot read {stored.key}: {said(error)}{hint}") from None


def _decoded(values: NDArray[Any], axes: tuple[str, ...], stored: Stored) -> NDArray[Any]:
    """Unpacked, turned round, and with the constants put around it."""
    for axis in stored.flipped:
        values = np.flip(values, axes.index(axis))
    if stored.packing is not None:
        pack, raw = stored.packing, values
        with np.errstate(over="ignore", invalid="ignore"):
            values = (raw.astype(pack.dtype) * pack.scale + pack.shift).astype(pack.dtype)
        if pack.missing is not None:
            values[raw == pack.missing] = np.nan
    if stored.take == "bool":
        values = values != 0
    elif stored.take is not None:
        values = values.real if stored.take == "real" else values.imag
    for pad in stored.padding:
        around = [(pad.before, pad.after) if a == pad.axis else (0, 0) for a in axes]
        values = np.pad(values, around, constant_values=pad.value)
    return values


def _canonical(
    values: NDArray[Any], have: tuple[str, ...], variable: Variable, frames: slice
) -> NDArray[Any]:
    """Transpose to (time, *grid, *components); broadcast what is not stored."""
    if have == variable.axes and not variable.components:
        return values
    components = tuple(c for c in COMPONENTS[: variable.rank] if c in have)
    want = variable.axes + components
    if have == want:
        return values
    domain = variable.domain
    assert domain is not None
    values = values.transpose([have.index(a) for a in want if a in have])
    if len(have) == len(want):
        return values
    sizes = dict(zip(domain.names, domain.shape, strict=True))
    sizes |= dict(zip(components, variable.components, strict=False))
    sizes["time"] = len(range(frames.start, frames.stop, frames.step))
    values = values.reshape([sizes[a] if a in have else 1 for a in want])
    return np.broadcast_to(values, [sizes[a] for a in want])


def source(stored: Stored) -> Any:
    """Something to index: a memory map, an HDF5 data set, an array."""
    if stored.array is not None:
        return stored.array
    if stored.container == "hdf5" and stored.offset is None:
        return hdf5.member(stored.path, stored.key)
    key: tuple[str | int, ...]
    if stored.container == "zarr":
        key = (os.getpid(), stored.path, stored.key)
    else:
        key = (*hdf5.identity(stored.path), stored.key)
    if key not in _sources:
        found = _map(stored) if stored.offset is not None else _load(stored)
        _sources[key] = found
        while len(_sources) > MAX_SOURCES or _loaded_bytes() > budget.budget() // 2:
            if len(_sources) == 1:
                break
            _sources.popitem(last=False)
        return found
    _sources.move_to_end(key)
    return _sources[key]


def _load(stored: Stored) -> Any:
    return containers.module(stored.container).load(stored)


def _loaded_bytes() -> int:
    """Bytes of the arrays that lie in memory, not in a map of their file."""
    return sum(a.nbytes for a in _sources.values() if isinstance(a, np.ndarray) and a.flags.owndata)


def _map(stored: Stored) -> NDArray[Any]:
    """A read-only view of the file's bytes."""
    try:
        file = np.memmap(stored.path, dtype=np.uint8, mode="r")
        return np.ndarray(
            stored.shape, np.dtype(stored.dtype), file, stored.offset or 0, stored.strides
        )
    except DAMAGE as error:
        hdf5.identity(stored.path, fresh=True)  # says so where the file is gone
        raise DataError(
            stored.path, f"cannot map {stored.key} ({said(error)}); the file may be truncated"
        ) from None
