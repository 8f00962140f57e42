"""neuraloperator's ``.pt`` files: a dictionary of tensors x, y and perhaps visc.

    Darcy         x (n, H, W) bool, y (n, H, W)          inputs and targets on one grid
    Burgers       x (n, X), y (n, T, X), visc (1, 1)     targets live on a (t, x) grid
    multichannel  x (n, C, H, W), y (n, C, H, W)

The tensor x becomes the variable a, y becomes u (x and y are names of axes here).  The channel
axis is squeezed where there is one channel.  No coordinates are stored: points are i / n on the
unit interval, neuraloperator's own position embedding, under which the 16 x 16 Darcy set is every
second point of the 32 x 32 one.  Boundaries and units are unknown.
Source: neuraloperator/neuraloperator (MIT), neuralop/data/datasets.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.containers import torch as torch_file
from sciops.data.layout import Format, Layout, Part, Stored

AXES = {1: ("x",), 2: ("x", "y"), 3: ("x", "y", "z")}
NOTE = "coordinates are not stored; points i / n on the unit interval are assumed"


class Neuralop(Format):
    """Pairs (x, y) saved by torch."""

    title = "neuraloperator .pt (x, y)"
    source = "neuraloperator/neuraloperator, neuralop/data/datasets"
    verified = "Darcy 16 and 32, Burgers 16 as published"

    def recognises(self, path: Path) -> str | None:
        """A zip archive of torch whose dictionary holds x and y, with as many samples."""
        if not path.is_file() or not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            if not any(name.endswith("data.pkl") for name in archive.namelist()):
                return None
        members = torch_file.members(path)
        if {"x", "y"} <= set(members) and len(members["x"]) == len(members["y"]):
            return "a torch file with the tensors x and y of as many samples"
        return None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        members = torch_file.members(path)
        x, y = members["x"], members["y"]
        names = _spatial(path, x)
        grid = _grid(dict(zip(names, x.shape[x.ndim - len(names) :], strict=True)))
        variables, arrays = [], {}
        for key, name, array, role in (("x", "a", x, "input"), ("y", "u", y, "target")):
            axes = ("sample", *(["component"] if array.ndim == len(names) + 2 else []), *names)
            domain = grid
            if key == "y" and x.ndim == 2 and y.ndim == 3:  # Burgers: T frames are one target
                axes = ("sample", "time_axis", *names)
                domain = _grid(
                    {"time_axis": y.shape[1], **dict(zip(names, y.shape[2:], strict=True))}
                )
            components = (array.shape[1],) if "component" in axes else ()
            variables.append(Variable(name, domain, role, components=components))  # type: ignore[arg-type]
            arrays[name] = (_stored(path, key, array, axes),)
        params, values = _params(members, len(x))
        part = Part(str(path), len(x), np.ones(len(x), dtype=np.int64), arrays, None, values)
        provenance = dict.fromkeys(values, "tensor of the file")
        schema = Schema(tuple(variables) + params, name=path.stem)
        return Layout(
            schema,
            (part,),
            "neuralop",
            self.recognises(path) or "asked for",
            (NOTE,),
            {},
            provenance,
        )

    def write_tiny(self, path: Path) -> Path:
        """Two Darcy-like samples on 4 x 3 points."""
        import torch

        x = torch.arange(24).reshape(2, 4, 3) % 2 == 0
        target = path / "tiny.pt"
        torch.save({"x": x, "y": torch.arange(24.0).reshape(2, 4, 3)}, target)
        return target


def _spatial(path: Path, x: NDArray[Any]) -> tuple[str, ...]:
    """Names of the grid axes: (n, X), (n, H, W), or (n, C, H, W)."""
    dimension = {2: 1, 3: 2, 4: 2}.get(x.ndim)
    if dimension is None:
        raise DataError(path, f"x must be (n, X), (n, H, W) or (n, C, H, W), got {x.shape}")
    return AXES[dimension]


def _grid(sizes: dict[str, int]) -> Grid:
    return Grid(
        tuple(
            Axis.uniform("t", n, spacing="node")
            if name == "time_axis"
            else Axis.uniform(name, n, spacing="left")
            for name, n in sizes.items()
        )
    )


def _stored(path: Path, key: str, array: NDArray[Any], axes: tuple[str, ...]) -> Stored:
    named = tuple("t" if a == "time_axis" else a for a in axes)
    return Stored(str(path), "torch", key, named, array.shape, array.dtype.str)


def _params(
    members: dict[str, NDArray[Any]], n: int
) -> tuple[tuple[Variable, ...], dict[str, NDArray[np.float64]]]:
    """Tensors of one number, or of one number a sample, are parameters."""
    values = {}
    for name, tensor in members.items():
        if name not in ("x", "y") and tensor.size in (1, n):
            values[name] = np.broadcast_to(tensor.reshape(-1).astype(np.float64), (n,)).copy()
    return tuple(Variable(k, role="param") for k in values), values
