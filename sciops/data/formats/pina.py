"""PINA's data of operators: one tensor a file, inputs and outputs in a file each.

    advection_input_training.pt   (n, X, 1)    advection_output_training.pt   (n, X, 1)

n trajectories on X points with one value each.  Inputs are fields at t = 0, outputs at t = 0.5,
points lie at linspace(0, 2, X); that outputs are inputs shifted by 0.5 on these points was checked
on the genuine files.  The tutorial calls the problem periodic.  A file holds no names: the two are
told apart by the words ``input`` and ``output`` in their names.  A tensor that stands alone has
axes of which nothing is known, and is refused with what to do.
Source: mathLab/PINA (MIT), tutorial on the advection operator with DeepONet.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import SIDES, Axis, Boundary, Grid, Schema, Variable
from sciops.data.containers import torch as torch_file
from sciops.data.formats._structure import LONGEST, structure
from sciops.data.layout import Format, Layout, Part, Stored

WORDS = ("input", "output")
NOTE = (
    "nothing but numbers is stored; x in [0, 2], ends included, and periodicity as in PINA's text"
)
ALONE = (
    "holds one tensor of shape {shape} without names, so nothing says what its axes mean; either "
    "put the other of NAME_input_.., NAME_output_.. (n, X, 1) beside it, or describe the file "
    "by a mapping that gives its dims"
)


class Pina(Format):
    """A pair of files with one tensor each."""

    title = "PINA .pt (single tensors, input and output)"
    source = "mathLab/PINA, tutorials (advection with DeepONet)"
    verified = "advection, training pair, as published"

    def recognises(self, path: Path) -> str | None:
        """A torch file that holds one tensor and no dictionary."""
        if not torch_file.is_container(path):
            return None
        found = torch_file.members(path)
        return "a torch file that holds one tensor" if set(found) == {torch_file.KEY} else None

    def layout(self, path: Path) -> Layout:
        """The layout of a file and of its other half beside it."""
        if self.recognises(path) is None:
            raise DataError(path, "expected a torch file that holds one tensor")
        files = _pair(path)
        stored = [_stored(f) for f in files]
        n, points = stored[0].shape[:2]
        if stored[1].shape[:2] != (n, points):
            raise DataError(
                path, f"inputs and outputs must agree in (n, X), got {[s.shape for s in stored]}"
            )
        grid = Grid((Axis.uniform("x", points, 0.0, 2.0, "node"),))
        variables = (Variable("u0", grid, "input"), Variable("u", grid, "target"))
        sides = tuple(Boundary("x", side, "periodic") for side in SIDES)
        with structure(path):
            arrays = {"u0": (stored[0],), "u": (stored[1],)}
            part = Part(str(path), n, np.ones(n, dtype=np.int64), arrays)
            return Layout(
                Schema(variables, sides, name=re.sub(r"_?input_?", "_", files[0].stem)),
                (part,),
                "pina",
                f"two torch files with one tensor each: {files[0].name}, {files[1].name}",
                (NOTE,),
            )

    def write_tiny(self, path: Path) -> Path:
        """Two pairs on five points, in a folder of which the input file is given."""
        import torch

        folder = path / "tiny"
        folder.mkdir()
        values = torch.arange(10.0).reshape(2, 5, 1)
        torch.save(-values, folder / "tiny_output_training.pt")
        torch.save(values, folder / "tiny_input_training.pt")
        return folder / "tiny_input_training.pt"


def _pair(path: Path) -> tuple[Path, Path]:
    """(inputs, outputs); DataError where the other half is not beside the file."""
    for word, other in (WORDS, WORDS[::-1]):
        if len(re.findall(word, path.name)) == 1:
            partner = path.with_name(path.name.replace(word, other))
            if torch_file.is_container(partner):
                return (path, partner) if word == "input" else (partner, path)
    shape = next(iter(torch_file.members(path).values())).shape
    raise DataError(path, ALONE.format(shape=tuple(shape)))


def _stored(path: Path) -> Stored:
    found = torch_file.members(path)
    array = found.get(torch_file.KEY)
    if array is None or array.ndim != 3 or array.shape[2] != 1 or array.dtype.kind != "f":
        shapes = {k: a.shape for k, a in found.items()}
        raise DataError(path, f"expected one real tensor (n, X, 1), got {shapes}")
    if not 2 <= array.shape[1] <= LONGEST or not 1 <= len(array) <= LONGEST:
        raise DataError(path, f"expected n >= 1 fields on X >= 2 points, got {array.shape}")
    axes = ("sample", "x", "")
    return Stored(str(path), "torch", torch_file.KEY, axes, array.shape, array.dtype.str)
