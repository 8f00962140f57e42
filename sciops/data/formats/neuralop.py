"""neuraloperator's pairs x, y: torch dictionaries, HDF5 files and zarr stores.

    .pt    Darcy         x (n, H, W) bool, y (n, H, W)          inputs and targets on one grid
           Burgers       x (n, X), y (n, T, X), visc (1, 1)     targets live on a (t, x) grid
           multichannel  x (n, C, H, W), y (n, C, H, W)
    HDF5, zarr           x (n, C, H, W), y (n, C, H, W) at the root, and nothing else

The tensor x becomes the variable a, y becomes u (x and y are names of axes here).  The channel
axis is squeezed where there is one channel.  A bool input is read as float32, False as 0 and True
as 1; which of the two permeabilities that is, the file does not say.  No coordinates are stored:
points are i / n on the unit interval, neuraloperator's own position embedding, under which the
16 x 16 Darcy set is every second point of the 32 x 32 one.  Boundaries and units are unknown.
The published Burgers files are sliced views of one storage of 1200 samples, in Fortran order: the
tensors are read through their strides, and what else the storage holds is not touched.
Source: neuraloperator/neuraloperator (MIT), neuralop/data/datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data import contents, hdf5
from sciops.data.containers import torch as torch_file
from sciops.data.containers import zarr as zarr_store
from sciops.data.formats._structure import LONGEST, structure
from sciops.data.layout import Format, Layout, Packing, Part, Stored

AXES = {1: ("x",), 2: ("x", "y"), 3: ("x", "y", "z")}
NOTE = "coordinates are not stored; points i / n on the unit interval are assumed"
BOOL = "x is stored as bool; False is read as 0.0 and True as 1.0"
PAIR = ("x", "y")
TIMES = "time_axis"  # of Burgers' targets, which are one field of t and x


class Neuralop(Format):
    """Pairs (x, y) saved by torch, h5py or zarr."""

    title = "neuraloperator .pt, HDF5, zarr (x, y)"
    source = "neuraloperator/neuraloperator, neuralop/data/datasets"
    verified = "Darcy 16 and 32, Burgers 16 as published (.pt)"

    def recognises(self, path: Path) -> str | None:
        """Arrays x and y of as many samples, in a file of torch or alone in HDF5 or zarr."""
        found = _pair(path)
        if found is None:
            return None
        kind = {"torch": "a torch file", "hdf5": "HDF5", "zarr": "a zarr store"}
        return f"{kind[found['x'].container]} with the arrays x and y of as many samples"

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        found = _pair(path)
        if found is None:
            raise DataError(path, "expected arrays x and y of as many samples")
        with structure(path):
            return _layout(path, found, self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two Darcy-like samples on 4 x 3 points."""
        import torch

        x = torch.arange(24).reshape(2, 4, 3) % 2 == 0
        target = path / "tiny.pt"
        torch.save({"x": x, "y": torch.arange(24.0).reshape(2, 4, 3)}, target)
        return target


def _pair(path: Path) -> Mapping[str, Stored] | None:
    """The arrays of a file that holds such a pair; None where it does not."""
    if torch_file.is_container(path):
        found = torch_file.arrays(path)
        if contents.KEY in found:
            return None
    elif hdf5.is_hdf5(path):
        found = _of_hdf5(path)
    elif zarr_store.is_container(path):
        found = zarr_store.arrays(path)
    else:
        return None
    if not set(PAIR) <= set(found):
        return None
    x, y = (found[k] for k in PAIR)
    if found["x"].container != "torch" and (set(found) != set(PAIR) or len(x.shape) != 4):
        return None
    fits = len(x.shape) >= 2 and len(y.shape) >= 2 and 0 < x.shape[0] == y.shape[0] <= LONGEST
    return found if fits else None


def _of_hdf5(path: Path) -> dict[str, Stored]:
    """x and y of a file that holds these two data sets of rank 4 and nothing else."""
    with hdf5.opened(path) as file, structure(path):
        members = {k: file.get(k) for k in file} if len(file) == len(PAIR) else {}
        if set(members) != set(PAIR) or not all(
            isinstance(m, h5py.Dataset) and m.shape is not None and m.ndim == 4
            for m in members.values()
        ):
            return {}
        return {k: hdf5.stored(path, m, ("?",) * 4) for k, m in members.items()}


def _layout(path: Path, found: Mapping[str, Stored], reason: str) -> Layout:
    x, y = (found[k] for k in PAIR)
    names = _spatial(path, x.shape)
    grid = _grid(dict(zip(names, x.shape[-len(names) :], strict=True)))
    notes = [NOTE]
    variables, arrays = [], {}
    for key, name, array, role in (("x", "a", x, "input"), ("y", "u", y, "target")):
        axes = ("sample", *(["component"] if len(array.shape) == len(names) + 2 else []), *names)
        domain = grid
        if key == "y" and len(x.shape) == 2 and len(y.shape) == 3:  # T frames are one target
            axes = ("sample", TIMES, *names)
            domain = _grid({TIMES: y.shape[1], **dict(zip(names, y.shape[2:], strict=True))})
        components = (array.shape[1],) if "component" in axes else ()
        variables.append(Variable(name, domain, role, components=components))  # type: ignore[arg-type]
        stored = replace(array, axes=tuple("t" if a == TIMES else a for a in axes))
        if array.dtype == "|b1":
            stored = replace(stored, packing=Packing(dtype="<f4"))
            notes += [BOOL] if key == "x" else []
        arrays[name] = (stored,)
    n = x.shape[0]
    values = _params(path, found, n)
    part = Part(str(path), n, np.ones(n, dtype=np.int64), arrays, None, values)
    schema = Schema((*variables, *(Variable(k, role="param") for k in values)), name=path.stem)
    provenance = dict.fromkeys(values, "tensor of the file")
    return Layout(schema, (part,), "neuralop", reason, tuple(notes), {}, provenance)


def _spatial(path: Path, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the grid axes: (n, X), (n, H, W), or (n, C, H, W)."""
    dimension = {2: 1, 3: 2, 4: 2}.get(len(shape))
    if dimension is None or 0 in shape:
        raise DataError(path, f"x must be (n, X), (n, H, W) or (n, C, H, W), got {shape}")
    return AXES[dimension]


def _grid(sizes: Mapping[str, int]) -> Grid:
    return Grid(
        tuple(
            Axis.uniform("t", n, spacing="node")
            if name == TIMES
            else Axis.uniform(name, n, spacing="left")
            for name, n in sizes.items()
        )
    )


def _params(path: Path, found: Mapping[str, Stored], n: int) -> dict[str, NDArray[np.float64]]:
    """Arrays of one number, or of one number a sample, are parameters."""
    values = {}
    for name, array in found.items():
        size = int(np.prod(array.shape, dtype=object))
        if name not in PAIR and size in (1, n) and np.dtype(array.dtype).kind in "fiub":
            tensor = contents.small(path, array).reshape(-1).astype(np.float64)
            values[name] = np.broadcast_to(tensor, (n,)).copy()
    return values
