"""Files of CNO's representative PDE benchmarks: one group a sample.

    Sample_0, Sample_1, ..:  input, output   (X, Y) each       a static map
                             a, u (X, Y), bc (scalar)          Helmholtz, of PDEgym
    min_inp, max_inp, ..     numbers for scaling, which are not used here

An axis of length one may stand before X.  The first axis is x: the loaders' own grids are made by
meshgrid(x, y) with indexing "ij".  They take points linspace(0, 1, n), both ends included; that is
assumed, since no coordinates are stored.  ``bc`` is the boundary value of u.  Samples are numbered;
splits are index ranges in the loaders, different for each data set, and are not taken over.
Boundaries (but for bc) and units are not given.
Source: camlab-ethz/ConvolutionalNeuralOperator, Problems/CNOBenchmarks.py; Raonic et al.,
Convolutional Neural Operators, NeurIPS 2023 (arXiv 2302.01178); camlab-ethz/poseidon,
scOT/problems/elliptic/helmholtz.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Variable
from sciops.data.formats._structure import array, is_array, numbers, recognised, structure
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored
from sciops.data.layout import Format, Layout, Part, Stored

PAIRS = (("input", "output"), ("a", "u"))
NOTE = "coordinates are not stored; points linspace(0, 1, n), as in the loaders, are assumed"


class CNO(Format):
    """Pairs of fields, one group each."""

    title = "CNO HDF5 (Sample_i groups)"
    source = "camlab-ethz/ConvolutionalNeuralOperator, Problems; arXiv 2302.01178"

    def recognises(self, path: Path) -> str | None:
        """Groups Sample_0, Sample_1, .. with a pair of arrays in the first."""
        return recognised(path, _reason) if path.is_file() else None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        with structure(path), opened(path) as file:
            reason = _reason(file)
            if reason is None:
                raise DataError(
                    path,
                    f"expected groups Sample_0, .. with the arrays {' or '.join(map(str, PAIRS))}, "
                    f"got {sorted(file)[:8]}",
                )
            content = _content(path, file)
        return joined(path, [content], "cno", reason)

    def write_tiny(self, path: Path) -> Path:
        """Three samples on 4 x 6 points."""
        target = path / "tiny.h5"
        with h5py.File(target, "w") as file:
            for i in range(3):
                field = np.arange(24, dtype=np.float32).reshape(4, 6) + 100 * i
                file[f"Sample_{i}/input"], file[f"Sample_{i}/output"] = field, -field
        return target


def _samples(file: h5py.File) -> list[str]:
    """Names of the groups, ordered by their numbers."""
    names = [name for name in file if re.fullmatch(r"Sample_[0-9]{1,9}", name)]
    return sorted(names, key=lambda name: int(name.removeprefix("Sample_")))


def _pair(group: h5py.Group) -> tuple[str, str] | None:
    return next((p for p in PAIRS if all(is_array(group, k, 2, 3, 4) for k in p)), None)


def _reason(file: h5py.File) -> str | None:
    names = _samples(file)
    pair = _pair(file.get(names[0])) if names else None
    return None if pair is None else f"HDF5 with groups Sample_i that hold {pair[0]} and {pair[1]}"


def _content(path: Path, file: h5py.File) -> Content:
    names = _samples(file)
    pair = _pair(file[names[0]])
    assert pair is not None
    shape = file[names[0]][pair[0]].shape[-2:]
    parts = []
    for name in names:
        group = file.get(name)
        if not isinstance(group, h5py.Group):
            raise DataError(path, f"/{name} must be a group, got an array")
        arrays = {k: (_field(path, group, k, shape),) for k in pair}
        params = {"bc": numbers(path, group, "bc", ()).reshape(1)} if "bc" in group else {}
        parts.append(Part(f"{path}:/{name}", 1, np.ones(1, dtype=np.int64), arrays, None, params))
    grid = Grid(
        tuple(Axis.uniform(a, n, spacing="node") for a, n in zip(("x", "y"), shape, strict=True))
    )
    variables = (Variable(pair[0], grid, "input"), Variable(pair[1], grid, "target"))
    provenance = dict.fromkeys(parts[0].params, "data set bc of the sample")
    return Content(path, variables, tuple(parts), notes=(NOTE,), provenance=provenance)


def _field(path: Path, group: h5py.Group, name: str, shape: tuple[int, ...]) -> Stored:
    ones = 0
    if isinstance(group.get(name), h5py.Dataset):
        ones = max(len(group[name].shape or ()) - 2, 0)
    data = array(path, group, name, f"({'1, ' * ones}X, Y)")
    if data.shape != (1,) * ones + shape:
        raise DataError(
            path, f"{data.name} must be {shape} as in the first sample, got {data.shape}"
        )
    return stored(path, data, ("",) * ones + ("x", "y"))
