"""CFDBench: folders of cases of four flows, each of its own length, geometry and parameters.

Open a flow (``cavity``), one of its subsets (``cavity/bc``), or one case.  `velocity` (2) evolves,
`mask` (1 = fluid) is recomputed from ``case.json``, the parameters stand in an order fixed by their
names.  Cases of one geometry lie on a grid in metres; where the geometry varies, the axes run from
0 to 1 and the sizes are parameters.  What the authors' own loader makes of the same files is
`cfdbench_legacy`.  Flows, geometry, masks and source: `_cfdbench`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sciops.core.errors import ConfigError, DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.formats._cfdbench import (
    Case,
    Flow,
    flow_folders,
    fluid,
    grid_of,
    is_case,
    read_case,
)
from sciops.data.formats._structure import structure
from sciops.data.layout import Format, Layout, Part, Stored

CENTRES = "positions are not stored; cell centres of the box in case.json are assumed"
TIMES = "times are not stored; they are counted from the first frame with dt = {dt:g} s"
RELATIVE = (
    "the geometry varies from case to case: x and y run from 0 to 1 over the box, whose sizes are "
    "parameters"
)
EXACT = 1e-6  # relative deviation of a time step from a multiple of dt that still is one


class CFDBench(Format):
    """A folder of cases, or a folder of such folders."""

    title = "CFDBench (folders of u.npy, v.npy, case.json)"
    source = "luo-yining/CFDBench; arXiv 2310.05963"

    def recognises(self, path: Path) -> str | None:
        """Folders caseNNNN with u.npy, v.npy and case.json."""
        found = flow_folders(path) if path.is_dir() else {}
        if not found:
            return None
        if is_case(path):
            return "a folder with u.npy, v.npy and case.json"
        return f"folders caseNNNN with u.npy, v.npy and case.json in {', '.join(found)}"

    def layout(self, path: Path) -> Layout:
        """The layout of all cases of one flow."""
        return read(path, "cfdbench", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two dam cases of three frames on 6 rows x 8 columns."""
        folder = path / "tiny"
        for number in range(2):
            case = folder / "bc" / f"case{number:04d}"
            case.mkdir(parents=True)
            u = np.arange(144, dtype=np.float32).reshape(3, 6, 8) + number
            np.save(case / "u.npy", u)
            np.save(case / "v.npy", -u)
            numbers = {
                "case_no": number, "velocity": 0.5 + number, "density": 100.0, "viscosity": 0.1,
                "barrier_height": 0.1, "barrier_width": 0.2, "height": 0.4, "width": 1.5,
            }  # fmt: skip
            (case / "case.json").write_text(json.dumps(numbers), encoding="utf-8")
        return folder


def read(path: Path, format: str, reason: str) -> Layout:
    """The layout of the cases below `path`.

    Raises
    ------
    DataError
        If there are none, a case is damaged, or they belong to several flows or grids.
    """
    found = flow_folders(path)
    if not found:
        raise DataError(path, "no cases: expected folders caseNNNN with u.npy, v.npy, case.json")
    with structure(path):
        cases = [read_case(folder) for folders in found.values() for folder in folders]
        flow = _one_flow(path, cases, list(found))
        grid, notes = _grid(cases)
        variables = (
            Variable("velocity", grid, components=(2,), unit="m s^-1", time_varying=True),
            Variable("mask", grid, "geometry", location="cell"),
            *(Variable(name, role="param", unit=unit) for name, unit in flow.params.items()),
        )
        return Layout(
            Schema(variables, flow.boundary, flow.dt, "s", name=path.name),
            tuple(_part(case) for case in cases),
            format,
            reason,
            (CENTRES, TIMES.format(dt=flow.dt), *flow.notes, *notes),
            {"flow": flow.name, "equation": "2-D incompressible Navier-Stokes"},
            {name: f"case.json, {flow.key(name)}" for name in flow.params},
        )


def _grid(cases: list[Case]) -> tuple[Grid, list[str]]:
    """The one grid in metres, or the unit square with a note where the boxes differ."""
    grid = grid_of(cases[0])
    if all(grid_of(c) == grid for c in cases):
        return grid, []
    ny, nx = grid.shape
    return Grid((Axis.uniform("y", ny), Axis.uniform("x", nx))), [RELATIVE]


def _one_flow(path: Path, cases: list[Case], folders: list[str]) -> Flow:
    """The flow of all cases, which lie on as many rows and columns."""
    flows = sorted({c.flow.name for c in cases})
    if len(flows) > 1:
        raise DataError(
            path,
            f"holds several flows ({', '.join(flows)}), whose parameters, boundaries and time "
            f"steps differ; open one of them: {', '.join(str(path / f) for f in folders)}",
        )
    odd = [c for c in cases if c.shape != cases[0].shape]
    if odd:
        raise DataError(
            odd[0].folder,
            f"has {odd[0].shape} rows and columns, {cases[0].folder.name} has {cases[0].shape}",
        )
    return cases[0].flow


def _part(case: Case) -> Part:
    inside = fluid(case)
    mask = Stored(
        "", "memory", f"{case.folder}: mask", ("y", "x"), inside.shape, "|b1", array=inside
    )
    return Part(
        str(case.folder),
        1,
        np.array([case.frames]),
        {"velocity": (case.u, case.v), "mask": (mask,)},
        np.arange(case.frames, dtype=np.float64) * case.flow.dt,
        {name: np.array([value]) for name, value in case.params.items()},
    )


def frame_stride(delta_t: float, dt: float) -> int:
    """Frames between two that lie `delta_t` apart.

    Raises
    ------
    ConfigError
        If `delta_t` is not a positive multiple of `dt`.
    """
    ratio = delta_t / dt
    frames = round(ratio)
    if frames < 1 or abs(ratio - frames) > EXACT * ratio:
        raise ConfigError(
            f"a step of {delta_t:g} is no multiple of the {dt:g} between two frames; the nearest "
            f"are {max(int(ratio), 1) * dt:g} and {(max(int(ratio), 1) + 1) * dt:g}"
        )
    return frames
