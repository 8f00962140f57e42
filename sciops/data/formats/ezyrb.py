"""EZyRB's data of a flow over an unstructured mesh: a folder of ``.npy`` files.

    pts.npy               (M, 3)  positions; a constant coordinate (z of a plane) is left out
    cells.npy             (K, V)  numbers of the nodes of each cell
    time.npy              (T, 1)  time or number of each snapshot; its unit is not given
    snapshots_NAME.npy    (T, M)  one row a snapshot

vx, vy[, vz] become the variable velocity.
Source: mathLab/EZyRB (MIT), tests/test_datasets.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Points, Schema, Variable
from sciops.data.containers import npy
from sciops.data.contents import small
from sciops.data.formats._structure import structure
from sciops.data.formats._well import uniform_step
from sciops.data.layout import Format, Layout, Part, Stored

PREFIX = "snapshots_"
MESH = ("pts.npy", "time.npy")
VELOCITY = ("vx", "vy", "vz")


class Ezyrb(Format):
    """A folder with nodes, times and snapshots."""

    title = "EZyRB snapshots (folder of .npy)"
    source = "mathLab/EZyRB, tests/test_datasets"
    verified = "time-resolved 2-D flow of EZyRB"

    def recognises(self, path: Path) -> str | None:
        """A folder with pts.npy, time.npy and snapshots_*.npy."""
        if not path.is_dir() or not all((path / name).is_file() for name in MESH):
            return None
        names = sorted(p.name for p in path.glob(f"{PREFIX}*.npy"))
        return f"a folder with {', '.join((*MESH, *names))}" if names else None

    def layout(self, path: Path) -> Layout:
        """The layout of one folder: one trajectory."""
        reason = self.recognises(path)
        if reason is None:
            raise DataError(path, f"expected a folder with {', '.join(MESH)}, {PREFIX}NAME.npy")
        with structure(path):
            points, notes = _points(path)
            times = _times(path / "time.npy")
            stored = _snapshots(path, times.size, points.shape[0])
            components = tuple(n for n in VELOCITY if n in stored)
            joined = components == VELOCITY[: len(components)] and len(components) > 1
            variables, arrays = [], {}
            if joined:
                arrays["velocity"] = tuple(stored.pop(n) for n in components)
                variables.append(_variable("velocity", points, (len(components),)))
            for name, array in stored.items():
                arrays[name] = (array,)
                variables.append(_variable(name, points, ()))
            part = Part(str(path), 1, np.array([times.size]), arrays, times)
            schema = Schema(tuple(variables), dt=uniform_step(times), name=path.name)
            return Layout(schema, (part,), "ezyrb", reason, tuple(notes))

    def write_tiny(self, path: Path) -> Path:
        """Three snapshots on four nodes, two triangles."""
        folder = path / "tiny"
        folder.mkdir()
        corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 2, 0], [0, 2, 0]])
        np.save(folder / "pts.npy", corners)
        np.save(folder / "cells.npy", np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32))
        np.save(folder / "time.npy", np.arange(3).reshape(3, 1))
        for k, name in enumerate(("vx", "vy", "pressure")):
            np.save(folder / f"{PREFIX}{name}.npy", np.arange(12.0).reshape(3, 4) + 100 * k)
        return folder


def _variable(name: str, points: Points, components: tuple[int, ...]) -> Variable:
    return Variable(name, points, components=components, location="node", time_varying=True)


def _array(path: Path, meaning: str, rank: int) -> Stored:
    found = npy.arrays(path)[npy.KEY]
    if len(found.shape) != rank or 0 in found.shape or np.dtype(found.dtype).kind not in "fiu":
        raise DataError(path, f"must be real {meaning}, got {found.dtype} {found.shape}")
    return found


def _points(path: Path) -> tuple[Points, list[str]]:
    found = _array(path / "pts.npy", "(M, D)", 2)
    if found.shape[1] > 3:
        raise DataError(path / "pts.npy", f"must be (M, D) with D <= 3, got {found.shape}")
    x = small(path / "pts.npy", found).astype(np.float64)
    varying = [d for d in range(x.shape[1]) if x[:, d].min() != x[:, d].max()]
    gone = [f"{'xyz'[d]} = {x[0, d]:g}" for d in range(x.shape[1]) if d not in varying]
    notes = [f"the constant coordinate {', '.join(gone)} is left out"] if gone and varying else []
    cells = None
    if (path / "cells.npy").is_file():
        stored = _array(path / "cells.npy", "(K, V)", 2)
        cells = small(path / "cells.npy", stored)
        if cells.dtype.kind not in "iu":
            raise DataError(path / "cells.npy", f"must hold node numbers, got {cells.dtype}")
    return Points(x[:, varying] if varying else x, cells), notes


def _times(path: Path) -> NDArray[np.float64]:
    found = npy.arrays(path)[npy.KEY]
    if len(found.shape) not in (1, 2) or int(np.prod(found.shape)) != max(found.shape, default=0):
        raise DataError(path, f"must be (T,) or (T, 1), got {found.shape}")
    if np.dtype(found.dtype).kind not in "fiu":
        raise DataError(path, f"must hold real times, got {found.dtype}")
    return small(path, found).reshape(-1).astype(np.float64)


def _snapshots(path: Path, frames: int, nodes: int) -> dict[str, Stored]:
    """Name -> (T, M), checked against times and nodes so that a turned array is not taken."""
    found = {}
    for file in sorted(path.glob(f"{PREFIX}*.npy")):
        stored = _array(file, "(T, M)", 2)
        if stored.shape != (frames, nodes):
            turned = "; it is transposed" if stored.shape == (nodes, frames) else ""
            raise DataError(
                file,
                f"must be (T, M) = ({frames}, {nodes}) after time.npy and pts.npy, got "
                f"{stored.shape}{turned}",
            )
        found[file.stem.removeprefix(PREFIX)] = replace(stored, axes=("time", "node"))
    return found
