"""What is known of the boundary, and whether it contradicts itself or the grid."""

from __future__ import annotations

import numpy as np

from sciops.core.schema import SIDES, Axis, Grid, Schema, Variable
from sciops.data.checks.coordinates import space_axes
from sciops.data.checks.fields import Block, Check
from sciops.data.findings import Findings
from sciops.data.layout import Layout

KINDS = (
    "periodic",
    "wall",
    "open",
    "inflow",
    "outflow",
    "dirichlet",
    "neumann",
    "symmetry",
    "unknown",
)
CLOSED = ("periodic", "wall", "symmetry")  # nothing leaves through these


def check(layout: Layout, findings: Findings) -> None:
    """All findings about boundary conditions."""
    axes = space_axes(layout)
    for axis in axes:
        _contradictions(layout.schema, axis, findings)
    unknown = [a.name for a in axes if "unknown" in kinds(layout.schema, a.name)]
    if unknown:
        findings.warning(
            "boundary-missing",
            f"axis {', '.join(dict.fromkeys(unknown))}",
            "the boundary condition is not stated; padding, mass and derivatives at the ends "
            "depend on it",
        )
    _names(layout.schema, findings)


def kinds(schema: Schema, axis: str, variable: str | None = None) -> set[str]:
    """Kinds of condition on both sides of an axis, for one variable or for any."""
    if variable is not None:
        return {schema.boundary_kind(axis, side, variable) for side in SIDES}
    found = set()
    for side in SIDES:
        here = {b.kind for b in schema.boundary if (b.axis, b.side) == (axis, side)}
        found |= here or {schema.boundary_kind(axis, side)}
    return found


def closed(schema: Schema, axes: tuple[Axis, ...], variable: str) -> bool | None:
    """Whether nothing leaves the box; None where a side is unknown."""
    found = {k for a in axes for k in kinds(schema, a.name, variable)}
    return None if "unknown" in found else found <= set(CLOSED)


def _contradictions(schema: Schema, axis: Axis, findings: Findings) -> None:
    where = f"axis {axis.name}"
    found = kinds(schema, axis.name)
    others = sorted(found - {"periodic", "unknown"})
    sides = {b.side for b in schema.boundary if b.axis == axis.name and b.kind == "periodic"}
    if ("periodic" in found or axis.periodic) and others:
        findings.error(
            "boundary-contradiction",
            where,
            f"it is periodic and has a side of kind {', '.join(others)}; only one can be",
        )
    elif len(sides) == 1 and not axis.periodic:
        findings.error(
            "boundary-contradiction", where, f"only its {next(iter(sides))} side is periodic"
        )
    if axis.periodic and axis.spacing == "node":
        findings.error(
            "periodic-endpoint",
            where,
            f"it is periodic, but the points reach from {axis.lower:g} to {axis.upper:g}, both "
            "included, which are one place; leave out the last point or move the upper end",
        )


def _names(schema: Schema, findings: Findings) -> None:
    known = {v.name for v in schema.variables}
    strange = sorted({b.kind for b in schema.boundary} - set(KINDS))
    if strange:
        findings.warning(
            "boundary-kind", "boundary", f"the kinds {strange} are none of {', '.join(KINDS)}"
        )
    absent = sorted({n for b in schema.boundary for n in b.variables} - known)
    if absent:
        findings.warning(
            "boundary-variables", "boundary", f"conditions for {absent}, which are not stored"
        )


class PeriodicEnds(Check):
    """Whether the last point of a periodic axis repeats the first in every field.

    Where the second point equals the last but one as well, the field is symmetric or flat at its
    ends, and nothing follows.
    """

    def __init__(self, v: Variable) -> None:
        assert isinstance(v.domain, Grid)
        self.v = v
        lead = 1 if v.time_varying else 0
        self.repeated = {
            axis.name: lead + k
            for k, axis in enumerate(v.domain.axes)
            if axis.periodic and axis.size > 3 and axis.name not in v.constant_along
        }
        self.telling: set[str] = set()

    def block(self, b: Block) -> None:
        """See `Check`."""
        for name, k in list(self.repeated.items()):
            first, second, last_but_one, last = (b.values.take(i, k) for i in (0, 1, -2, -1))
            if not np.array_equal(first, last):
                del self.repeated[name]
            elif not np.array_equal(second, last_but_one):
                self.telling.add(name)

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        for name in self.telling & set(self.repeated):
            findings.warning(
                "periodic-endpoint",
                f"{self.v.name}, axis {name}",
                "the axis is periodic and its last point holds the values of the first in every "
                "field: one place is stored twice; leave out the last point",
            )
