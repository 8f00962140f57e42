"""pyro2's HDF5 files: the state of a two-dimensional run at one time.

    /                    @solver @problem @time @nsteps (missing where a bare patch was written)
    grid                 @nx @ny @ng @xmin @xmax @ymin @ymax
    state/<name>/data    (X, Y) float64, cell centres, without ghost cells; @xlb @xrb @ylb @yrb
    BC/<name>            whether a boundary that a problem defines itself is solid
    aux                  @gamma, @viscosity, ..
    "runtime parameters" @<section>.<name>

A folder of outputs of one run is one trajectory, ordered by time; its fields are read into memory.
x-velocity and y-velocity (likewise momentum, gradp_x and gradp_y) are joined to a vector where
both have the same kind of boundary on every side.

    pyro             here        pyro             here
    outflow          outflow     dirichlet        dirichlet
    periodic         periodic    neumann          neumann
    reflect-even/odd symmetry    own: solid wall  wall, else unknown

Prescribed values are not stored and stay unknown.  Parameters are the attributes of aux and the
runtime parameters of the problem's own section.  Units are not given; pyro's problems set them.
Source: python-hydro/pyro2 (BSD-3), pyro/mesh/{patch,boundary}.py, pyro/util/io_pyro.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Boundary, Grid, Variable
from sciops.data.formats._pyro2_output import KEYS, RUNTIME, Output, read, reason
from sciops.data.formats._structure import files, recognised, structure
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import SMALL, opened, values
from sciops.data.layout import Format, Layout, Part, Stored

PAIR = re.compile(r"x-(?P<after>.+)|(?P<before>.+)_x")


class Pyro2(Format):
    """Outputs of pyro2: one file, or the folder of a run."""

    title = "pyro2 HDF5 (one time a file)"
    source = "python-hydro/pyro2, pyro/mesh/patch.py and pyro/util/io_pyro.py"
    verified = "compressible Sod tube, lid-driven cavity, shallow-water dam of pyro2's own tests"

    def recognises(self, path: Path) -> str | None:
        """The groups grid, aux and state with boundary names beside each variable."""
        return recognised(path, reason)

    def layout(self, path: Path) -> Layout:
        """The layout of one output, or of the outputs of one run in a folder."""
        outputs = [read(file) for file in files(path)]
        if not outputs:
            raise DataError(path, "a folder without HDF5 files; expected outputs of one run")
        output, times = _run(path, outputs)
        content = _content(path, output, times)
        return joined(path, [content], "pyro2", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two outputs of one run: a density and a momentum on 6 x 4 cells."""
        target = path / "tiny"
        target.mkdir()
        for i in range(2):
            with h5py.File(target / f"tiny_{i:04d}.h5", "w") as file:
                file.attrs.update(solver="compressible", problem="sod", time=0.2 * i, nsteps=i)
                size = {"nx": 6, "ny": 4, "ng": 4, "xmin": 0.0, "xmax": 1.5, "ymin": 0.0, "ymax": 1}
                file.create_group("grid").attrs.update(size)
                file.create_group("aux").attrs["gamma"] = 1.4
                for k, name in enumerate(("density", "x-momentum", "y-momentum")):
                    group = file.create_group(f"state/{name}")
                    group["data"] = np.arange(24.0).reshape(6, 4) + 100 * k + 1000 * i
                    group.attrs.update(xlb="outflow", xrb="outflow", ylb="periodic", yrb="periodic")
        return target


def _run(path: Path, outputs: Sequence[Output]) -> tuple[Output, NDArray[np.float64] | None]:
    """The frames of one run, stacked in the order of time, and their times."""
    first = outputs[0]
    if len(outputs) == 1:
        return first, None if first.time is None else np.array([first.time])
    for other in outputs:
        same = (other.kinds, other.axes, other.params, other.attributes)
        if same != (first.kinds, first.axes, first.params, first.attributes):
            raise DataError(
                other.path,
                f"its grid, variables, boundaries or parameters differ from those of "
                f"{first.path.name}; a folder must hold the outputs of one run",
            )
    ordered = sorted(outputs, key=lambda o: -np.inf if o.time is None else o.time)
    times = np.array([np.nan if o.time is None else o.time for o in ordered])
    if not (np.diff(times) > 0).all():
        raise DataError(path, f"each output of a run must have its own @time, got {times[:8]}")
    size = sum(int(np.prod(s.shape)) * 8 for o in outputs for s in o.arrays.values())
    if size > SMALL:
        raise DataError(
            path, f"the run takes {size >> 20} MiB; at most {SMALL >> 20} MiB are held in memory"
        )
    return replace(first, arrays={name: _stacked(name, ordered) for name in first.arrays}), times


def _stacked(name: str, outputs: Sequence[Output]) -> Stored:
    frames = []
    for output in outputs:
        with structure(output.path), opened(output.path) as file:
            frames.append(values(output.path, file[output.arrays[name].key]))
    stack = np.stack(frames)
    return Stored(
        str(outputs[0].path),
        "memory",
        f"/state/{name}/data",
        ("time", "x", "y"),
        stack.shape,
        stack.dtype.str,
        array=stack,
    )


def _content(path: Path, output: Output, times: NDArray[np.float64] | None) -> Content:
    names = _joined_names(output)
    grid = Grid(output.axes)
    variables = tuple(
        Variable(
            k, grid, components=(2,) if len(of) == 2 else (), location="cell", time_varying=True
        )
        for k, of in names.items()
    )
    arrays = {k: tuple(output.arrays[one] for one in of) for k, of in names.items()}
    frames = 1 if times is None else len(times)
    params = {k: np.array([v]) for k, v in output.params.items()}
    part = Part(str(path), 1, np.array([frames]), arrays, times, params)
    kinds = {k: output.kinds[of[0]] for k, of in names.items()}
    return Content(
        path,
        variables,
        (part,),
        _boundary(kinds),
        output.notes,
        {k: f"attribute of {RUNTIME if '.' in k else 'aux'}" for k in params},
        attributes=output.attributes,
    )


def _joined_names(output: Output) -> dict[str, tuple[str, ...]]:
    """Name of each variable -> pyro's names of its components."""
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in output.arrays}
    for name in output.arrays:
        pair = PAIR.fullmatch(name)
        if pair is not None:
            other = f"y-{pair['after']}" if pair["after"] else f"{pair['before']}_y"
            joint = pair["after"] or pair["before"]
            apart = joint not in found and name in found and other in found
            if apart and output.kinds[other] == output.kinds[name]:
                found[joint] = (found.pop(name)[0], found.pop(other)[0])
    return found


def _boundary(kinds: dict[str, tuple[str, ...]]) -> tuple[Boundary, ...]:
    """One condition a side where all variables share it, else one for each kind."""
    found: list[Boundary] = []
    for k, (axis, side) in enumerate(KEYS.values()):
        by_kind: dict[str, list[str]] = {}
        for name, of in kinds.items():
            by_kind.setdefault(of[k], []).append(name)
        for kind, names in by_kind.items():
            if kind != "unknown":
                found.append(Boundary(axis, side, kind, () if len(by_kind) == 1 else tuple(names)))
    return tuple(found)
