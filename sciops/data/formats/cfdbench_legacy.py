"""CFDBench as its authors' loader gives it, to compare with published numbers; on request only.

    tube, dam, cylinder  a column of the inlet is put to the left, rows of zeros below and above:
                         (64, 64) becomes (66, 65), and the mask is 0 there
    dam                  the loop that should cut the barrier out slices the time axis by an empty
                         range: no interior cell is masked
    cylinder             the circle is drawn about (0.5, 0.5), outside the domain
    split                cases in the order prop, bc, geo; random.seed(0), shuffle; 8 : 1 : 1 by
                         round or by int, which differs from flow to flow and from task to task
    delta_t              int(delta_t / dt) frames, so 0.3 / 0.1 gives 2

Facts after luo-yining/CFDBench, src/dataset at commits 0631f6a and 0dcc1bc (the version of the
paper); no code is taken.  The right reading is `cfdbench`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid
from sciops.data.formats import cfdbench
from sciops.data.formats._structure import structure
from sciops.data.layout import Format, Layout, Padding, Part, Stored
from sciops.data.split import Split

Task = Literal["auto", "static"]  # autoregressive, or f(x, y, t)
PADDED = ("tube", "dam", "cylinder")
CIRCLE = (0.5, 0.5)  # where the published loader draws the cylinder
AS_PUBLISHED = (
    "as the authors' loader: padded by an inlet column and rows of zeros, masks of dam and "
    "cylinder without the obstacle"
)
DAM_INLET = (
    "the published inlet column of dam holds the velocity up to the height of the barrier; here "
    "it is zero"
)
ROUNDING: dict[tuple[str, Task], Callable[[float], int]] = {
    ("cavity", "static"): round,
    ("cavity", "auto"): round,
    ("tube", "static"): round,
    ("tube", "auto"): int,
    ("dam", "static"): round,
    ("dam", "auto"): int,
    ("cylinder", "static"): int,
    ("cylinder", "auto"): int,
}


class CFDBenchLegacy(Format):
    """The same folders as `cfdbench`, with the published padding and masks."""

    title = "CFDBench as published (66 x 65, wrong masks)"
    source = "luo-yining/CFDBench, src/dataset; arXiv 2310.05963"
    on_request = True

    def recognises(self, path: Path) -> str | None:
        """As `cfdbench` does."""
        return cfdbench.CFDBench().recognises(path)

    def layout(self, path: Path) -> Layout:
        """The layout of all cases of one flow, as published."""
        right = cfdbench.read(path, "cfdbench_legacy", self.recognises(path) or "asked for")
        with structure(path):
            return published(right)

    def write_tiny(self, path: Path) -> Path:
        """The tiny folder of `cfdbench`."""
        return cfdbench.CFDBench().write_tiny(path)


def published(layout: Layout) -> Layout:
    """A layout of `cfdbench` as the published loader would give it; cavity stays as it is."""
    flow = layout.attributes["flow"]
    if flow not in PADDED:
        return layout
    old = layout.schema["velocity"].domain
    assert isinstance(old, Grid)
    grid = Grid((_padded(old.axes[0], 1, 1), _padded(old.axes[1], 1, 0)))
    variables = tuple(
        v if v.domain is None else replace(v, domain=grid) for v in layout.schema.variables
    )
    notes = (*layout.notes, AS_PUBLISHED, *([DAM_INLET] if flow == "dam" else []))
    return replace(
        layout,
        schema=replace(layout.schema, variables=variables),
        parts=tuple(_part(part, flow) for part in layout.parts),
        notes=notes,
    )


def _padded(axis: Axis, before: int, after: int) -> Axis:
    h = axis.length / axis.size
    n = axis.size + before + after
    lower, upper = axis.lower - before * h, axis.upper + after * h
    return Axis.uniform(axis.name, n, lower, upper, unit=axis.unit)


def _part(part: Part, flow: str) -> Part:
    inlet = 0.0 if flow == "dam" else float(part.params["vel_in"][0])
    u, v = part.arrays["velocity"]
    (mask,) = part.arrays["mask"]
    walls = Padding("y", 1, 1, 0.0)
    inside = np.ones(mask.shape, dtype=bool)
    if flow == "cylinder":
        inside = _published_circle(part, mask.shape)
    around = np.pad(inside, ((1, 1), (1, 0)))
    arrays: dict[str, tuple[Stored, ...]] = {
        "velocity": (
            replace(u, padding=(Padding("x", 1, 0, inlet), walls)),
            replace(v, padding=(Padding("x", 1, 0, 0.0), walls)),
        ),
        "mask": (replace(mask, shape=around.shape, array=around),),
    }
    return replace(part, arrays=arrays)


def _published_circle(part: Part, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(ny, nx) of ones without the circle about `CIRCLE`, with points x_min + j dx."""
    p = {k: float(values[0]) for k, values in part.params.items()}
    ny, nx = shape
    x = p["x_min"] + np.arange(nx) * (p["x_max"] - p["x_min"]) / nx
    y = p["y_min"] + np.arange(ny)[:, None] * (p["y_max"] - p["y_min"]) / ny
    return np.asarray((x - CIRCLE[0]) ** 2 + (y - CIRCLE[1]) ** 2 > p["radius"] ** 2)


def legacy_split(layout: Layout, task: Task) -> Split:
    """The published split of the cases of one flow.

    Parameters
    ----------
    layout
        Of `cfdbench` or `cfdbench_legacy`; both list the cases in the order prop, bc, geo.
    task
        ``auto`` for the autoregressive tasks, ``static`` for f(x, y, t).

    Raises
    ------
    SchemaError
        If the layout is not of CFDBench, or a part would be empty (fewer than ten cases), with
        which the published code crashes later.
    """
    flow = layout.attributes.get("flow", "")
    if (flow, task) not in ROUNDING:
        raise SchemaError(
            f"the published split is of CFDBench's flows and the tasks auto and static, got "
            f"{flow or layout.format!r} and {task!r}"
        )
    whole, n = ROUNDING[flow, task], layout.n_samples
    order = list(range(n))
    random.Random(0).shuffle(order)  # what random.seed(0); random.shuffle does
    train, valid = whole(n * 0.8), whole(n * 0.1)
    parts = {
        "train": tuple(sorted(order[:train])),
        "valid": tuple(sorted(order[train : train + valid])),
        "test": tuple(sorted(order[train + valid :])),
    }
    return Split(parts, f"CFDBench as published, {flow}, {task} ({whole.__name__})", 0)


def legacy_stride(delta_t: float, dt: float) -> int:
    """Frames of a step as published, which cuts off: 0.3 / 0.1 gives 2."""
    return int(delta_t / dt)
