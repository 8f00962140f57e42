"""CFDBench's four flows: what a case folder holds, and which of its cells are fluid.

    caseNNNN/  u.npy, v.npy (T, row = y, col = x);  case.json: properties and geometry

    cavity    [0, width] x [0, height], all fluid; the lid moves with vel_top
    tube      [0, width] x [0, height], all fluid; inflow vel_in at the left
    dam       [0, width] x [0, height] without the barrier 0.5 <= x <= 0.5 + w, y <= h
    cylinder  [x_min, x_max] x [y_min, y_max] without x^2 + y^2 <= radius^2

No mask, no times and no positions are stored.  Points are cell centres, x_j = (j + 1/2) width / n,
as in the authors' corrected mask (`load_case_data_fix`).  Boundaries are the names of the zones in
the authors' Fluent schemes and ICEM scripts (``generation-code``).
Source: Luo, Chen, Zhang, CFDBench, 2023 (arXiv 2310.05963); luo-yining/CFDBench.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Boundary, Grid
from sciops.data.containers import npy
from sciops.data.formats._structure import as_number
from sciops.data.layout import Stored

SUBSETS = ("prop", "bc", "geo")  # in the order in which the authors join them
FILES = ("u.npy", "v.npy", "case.json")
BARRIER_LEFT = 0.5  # m; the authors' mask and their mesh script
LARGEST = 1 << 20  # bytes of a case.json
PROPERTIES = {"density": "kg m^-3", "viscosity": "Pa s"}
BOX = {"height": "m", "width": "m"}


@dataclass(frozen=True)
class Flow:
    """One of the four flows.

    `params` gives the order of the parameters, which does not depend on the order of the JSON
    keys, and their units; `keys` the JSON keys of those that are called otherwise there; `dt` the
    time between two frames.
    """

    name: str
    params: Mapping[str, str]
    dt: float
    boundary: tuple[Boundary, ...]
    notes: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """The JSON key of a parameter."""
        return self.keys.get(name, name)


FLOWS = (
    Flow(
        "dam",
        {
            "vel_in": "m s^-1", **PROPERTIES, "barrier_height": "m", "barrier_width": "m", **BOX,
        },
        0.1,
        (
            Boundary("x", "lower", "inflow"),
            Boundary("x", "upper", "outflow"),
            Boundary("y", "lower", "wall"),
        ),
        (
            "dam: the lowest 0.1 m of the left side are a velocity inlet, the rest is a pressure "
            "inlet; the top is unknown: the paper says height 0.4 m, the mesh script a wall at 1 m",
        ),
        {"vel_in": "velocity"},  # `velocity` is the field here
    ),
    Flow(
        "cylinder",
        {
            "vel_in": "m s^-1", **PROPERTIES, "radius": "m",
            "x_min": "m", "x_max": "m", "y_min": "m", "y_max": "m",
        },
        0.001,
        (
            Boundary("x", "lower", "inflow"),
            Boundary("x", "upper", "outflow"),
            Boundary("y", "lower", "wall"),
            Boundary("y", "upper", "wall"),
        ),
        ("cylinder: dt = 0.001 s; the authors' loader for the non-autoregressive task says 0.1 s",),
    ),
    Flow(
        "cavity",
        {"vel_top": "m s^-1", **PROPERTIES, **BOX},
        0.1,
        (
            Boundary("x", "lower", "wall"),
            Boundary("x", "upper", "wall"),
            Boundary("y", "lower", "wall"),
            Boundary("y", "upper", "dirichlet"),
        ),
    ),
    Flow(
        "tube",
        {"vel_in": "m s^-1", **PROPERTIES, **BOX},
        0.1,
        (
            Boundary("x", "lower", "inflow"),
            Boundary("x", "upper", "outflow"),
            Boundary("y", "lower", "wall"),
            Boundary("y", "upper", "wall"),
        ),
        ("tube: dt = 0.1 s as in the authors' loader; their Fluent scheme writes every 0.01 s",),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One folder: its flow, its parameters in the flow's order, and the two stored components."""

    folder: Path
    flow: Flow
    params: Mapping[str, float]
    u: Stored
    v: Stored

    @property
    def shape(self) -> tuple[int, int]:
        """(rows along y, columns along x)."""
        return self.u.shape[1], self.u.shape[2]

    @property
    def frames(self) -> int:
        """Number of stored frames T_i."""
        return self.u.shape[0]


def is_case(folder: Path) -> bool:
    """Whether a folder holds the three files of a case."""
    return folder.is_dir() and all((folder / name).is_file() for name in FILES)


def numbered(folder: Path) -> list[Path]:
    """The folders caseNNNN of a subset, by their number."""
    found = [(int(m[1]), p) for p in folder.iterdir() if (m := re.fullmatch(r"case(\d+)", p.name))]
    return [p for _, p in sorted(found) if p.is_dir()]


def flow_folders(path: Path) -> dict[str, list[Path]]:
    """Folder of a flow -> its cases.

    `path` is one case, a subset (``bc``), a flow (``cavity``) or a folder of flows.
    """
    if is_case(path):
        return {path.name: [path]}
    if not path.is_dir():
        return {}
    cases = _cases_of_flow(path)
    if cases:
        return {path.name: cases}
    inside = sorted(p for p in path.iterdir() if p.is_dir())
    return {p.name: cases for p in inside if (cases := _cases_of_flow(p))}


def _cases_of_flow(folder: Path) -> list[Path]:
    """The cases of a subset, or of the subsets of a flow; empty where the first is none."""
    subsets = [folder / name for name in SUBSETS if (folder / name).is_dir()] or [folder]
    cases = [case for subset in subsets for case in numbered(subset)]
    return cases if cases and is_case(cases[0]) else []


def read_case(folder: Path) -> Case:
    """What a case folder holds; DataError where a file is missing or damaged."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(folder, f"a case must hold {', '.join(FILES)}; {missing} are missing")
    tree = _json(folder / "case.json")
    known = [f for f in FLOWS if {f.key(name) for name in f.params} <= set(tree)]
    if not known:
        raise DataError(
            folder / "case.json",
            f"belongs to none of the flows {[f.name for f in FLOWS]}: it has the keys "
            f"{sorted(tree)[:12]}",
        )
    flow = known[0]
    params: dict[str, float] = {}
    for name in flow.params:
        value = as_number(tree[flow.key(name)])
        if value is None:
            raise DataError(
                folder / "case.json",
                f"{flow.key(name)} must be a number, got {tree[flow.key(name)]!r:.60}",
            )
        params[name] = value
    components = [_component(folder / name) for name in FILES[:2]]
    if components[0].shape != components[1].shape:
        raise DataError(folder, f"u and v must have one shape, got {[c.shape for c in components]}")
    case = Case(folder, flow, params, components[0], components[1])
    (x_lower, x_upper), (y_lower, y_upper) = box(case)
    if not (x_lower < x_upper and y_lower < y_upper):
        raise DataError(folder / "case.json", f"the domain is empty: {box(case)}")
    return case


def _json(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(path, f"larger than {LARGEST} bytes; expected a few numbers")
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(path, f"not JSON ({error})") from None
    if not isinstance(tree, dict):
        raise DataError(path, f"expected an object of numbers, got {type(tree).__name__}")
    return tree


def _component(path: Path) -> Stored:
    found = npy.arrays(path)[npy.KEY]
    if len(found.shape) != 3 or 0 in found.shape or np.dtype(found.dtype).kind not in "fiu":
        raise DataError(path, f"must be real (T, Y, X), got {found.dtype} {found.shape}")
    return replace(found, axes=("time", "y", "x"))


def box(case: Case) -> tuple[tuple[float, float], tuple[float, float]]:
    """((x_lower, x_upper), (y_lower, y_upper)) in metres."""
    p = case.params
    if case.flow.name == "cylinder":
        return (p["x_min"], p["x_max"]), (p["y_min"], p["y_max"])
    return (0.0, p["width"]), (0.0, p["height"])


def grid_of(case: Case) -> Grid:
    """The cell centres of a case, in metres."""
    (x, y), (ny, nx) = box(case), case.shape
    return Grid((Axis.uniform("y", ny, *y, unit="m"), Axis.uniform("x", nx, *x, unit="m")))


def fluid(case: Case) -> NDArray[np.bool_]:
    """(ny, nx): whether the centre of a cell lies in the fluid."""
    y, x = np.meshgrid(*(a.coordinates for a in grid_of(case).axes), indexing="ij")
    p = case.params
    if case.flow.name == "dam":
        barrier = (x >= BARRIER_LEFT) & (x <= BARRIER_LEFT + p["barrier_width"])
        return ~(barrier & (y <= p["barrier_height"]))
    if case.flow.name == "cylinder":
        return x**2 + y**2 > p["radius"] ** 2
    return np.ones(case.shape, dtype=bool)
