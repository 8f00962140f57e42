"""Reading fields by sample and frame, from whatever container holds them.

    read(layout, "velocity", sample=3, frames=slice(4, 9))  ->  (5, *N, d)

The result has the axes (time, *grid, *components) in the schema's order, whatever the stored
order is; static fields have no time axis.  Contiguous, uncompressed arrays are read through a
memory map, everything else through handles that are opened where they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError, SciopsError
from sciops.core.schema import Variable
from sciops.data import hdf5
from sciops.data.layout import COMPONENTS, Layout, Stored

_maps: dict[tuple[str | int, ...], Any] = {}  # (identity of the file, key) -> array-like
MAX_MAPS = 256


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
    """
    part, i = layout.locate(sample)
    variable = layout.schema[name]
    frames = slice(*frames.indices(int(part.lengths[i])))
    arrays = [_read(s, variable, i, frames) for s in part.arrays[name]]
    if len(arrays) == 1 and (variable.rank == 0 or "component" in part.arrays[name][0].axes):
        return arrays[0]
    return np.stack(arrays, axis=-1).reshape(*arrays[0].shape, *variable.components)


def _read(stored: Stored, variable: Variable, sample: int, frames: slice) -> NDArray[Any]:
    fixed = dict(stored.fixed)
    index: list[Any] = []
    left: list[str] = []
    for k, axis in enumerate(stored.axes):
        if k in fixed:
            index.append(fixed[k])
        elif axis == "sample":
            index.append(sample)
        elif axis == "":
            index.append(0)
        else:
            index.append(frames if axis == "time" else slice(None))
            left.append(axis)
    try:
        values = np.asarray(source(stored)[tuple(index)])
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, SciopsError):
            raise
        raise DataError(stored.path, f"cannot read {stored.key}: {error}") from None
    return _canonical(values, left, variable, stored, frames)


def _canonical(
    values: NDArray[Any], have: list[str], variable: Variable, stored: Stored, frames: slice
) -> NDArray[Any]:
    """Transpose to (time, *grid, *components); broadcast what is not stored."""
    domain = variable.domain
    assert domain is not None
    components = [c for c in COMPONENTS[: variable.rank] if c in have]
    want = [*(["time"] if variable.time_varying else []), *domain.names, *components]
    sizes = dict(zip(domain.names, domain.shape, strict=True))
    sizes |= dict(zip(components, variable.components, strict=False))
    sizes["time"] = len(range(frames.start, frames.stop, frames.step))
    values = values.transpose([have.index(a) for a in want if a in have])
    if len(have) == len(want):
        return values
    values = values.reshape([sizes[a] if a in have else 1 for a in want])
    return np.broadcast_to(values, [sizes[a] for a in want])


def source(stored: Stored) -> Any:
    """Something to index: a memory map, an HDF5 data set, an array."""
    if stored.container == "memory":
        assert stored.array is not None
        return stored.array
    if stored.container == "hdf5" and stored.offset is None:
        return hdf5.handle(stored.path)[stored.key]
    key = (*hdf5.identity(stored.path), stored.key)
    if key not in _maps:
        while len(_maps) >= MAX_MAPS:
            _maps.pop(next(iter(_maps)))
        _maps[key] = _map(stored)
    return _maps[key]


def _map(stored: Stored) -> Any:
    if stored.container == "torch":
        return torch_members(Path(stored.path))[stored.key]
    if stored.container == "numpy":
        return np.load(stored.path, mmap_mode="r", allow_pickle=False)
    try:
        return np.memmap(
            stored.path, dtype=stored.dtype, mode="r", offset=stored.offset or 0, shape=stored.shape
        )
    except (OSError, ValueError) as error:
        raise DataError(
            stored.path, f"cannot map {stored.key} ({error}); the file may be truncated"
        ) from None


def torch_members(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a dictionary saved by torch, as numpy views of the file; runs no code."""
    import torch

    try:
        tree = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise DataError(path, "no such file") from None
    except Exception as error:  # torch raises many kinds on foreign bytes
        raise DataError(
            path,
            f"not a torch file of plain tensors ({type(error).__name__}); "
            f"pickled objects are refused",
        ) from None
    if not isinstance(tree, dict) or not all(isinstance(v, torch.Tensor) for v in tree.values()):
        raise DataError(path, f"expected a dictionary of tensors, got {type(tree).__name__}")
    return {str(k): v.numpy() for k, v in tree.items()}
