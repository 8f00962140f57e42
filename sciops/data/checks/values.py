"""Values by themselves: finite, not constant, within their type, of the right sign."""

from __future__ import annotations

import numpy as np

from sciops.core.schema import Variable
from sciops.data.checks.fields import Block, Check
from sciops.data.findings import Findings

LEVELS = 1000  # a range of fewer steps of the type is coarser than 1e-3, what a model is asked for
LARGE = 1.8e19  # its square overflows float32
SMALL = 1.1e-19  # its square is no normal number of float32 any more
DENSITIES = ("density", "rho")
PRESSURES = ("pressure", "p")
DEPTHS = ("height", "h", "depth", "water_height")


class Finite(Check):
    """NaN and infinity, where a mask does not rule the point out."""

    def __init__(self, v: Variable) -> None:
        self.v, self.count, self.first = v, 0, ""

    def block(self, b: Block) -> None:
        """See `Check`."""
        if b.finite is None:
            return
        wrong = ~b.finite if b.valid is None else ~b.finite & b.valid
        if not wrong.any():
            return
        t, p = (int(k) for k in np.argwhere(wrong)[0])
        if not self.count:
            assert self.v.domain is not None
            place = tuple(int(k) for k in np.unravel_index(p, self.v.domain.shape))
            self.first = f"sample {b.sample}, frame {b.frames.start + t}, point {place}"
        self.count += int(wrong.sum())

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        if self.count:
            findings.error(
                "not-finite",
                self.v.name,
                f"{self.count} points are NaN or infinite, the first at {self.first}; leave those "
                "samples out (sciops data select) or repair the source",
                count=self.count,
            )


class Constant(Check):
    """Frames that are one number everywhere."""

    def __init__(self, v: Variable) -> None:
        self.v = v
        self.seen = self.constant = self.later = 0
        self.first = ""
        self.low, self.high = np.full(1, np.inf), np.full(1, -np.inf)

    def block(self, b: Block) -> None:
        """See `Check`."""
        if b.flat.shape[1] < 2:
            return
        flat = (b.low == b.high).all(axis=1)
        self.seen += len(flat)
        self.constant += int(flat.sum())
        for t in np.flatnonzero(flat) + b.frames.start:
            if t or not self.v.time_varying:
                self.first = self.first or f"sample {b.sample}" + (
                    f", frame {t}" if self.v.time_varying else ""
                )
                self.later += 1
        self.low = np.fmin(self.low, np.fmin.reduce(b.low))
        self.high = np.fmax(self.high, np.fmax.reduce(b.high))

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        name, same = self.v.name, self.low == self.high
        if same.all() and self.seen > 1:
            findings.warning(
                "constant-variable",
                name,
                f"it is {self.low[0]:g} everywhere and always; nothing can be learned from it",
                value=float(self.low[0]),
            )
            return
        if same.any() and self.seen > 1:
            components = np.flatnonzero(same).tolist()
            findings.info("constant-component", name, f"components {components} never change")
        if self.later:
            findings.warning(
                "constant-frame",
                name,
                f"{self.later} of {self.seen} fields are one number everywhere, the first is "
                f"{self.first}",
                count=self.later,
                of=self.seen,
            )
        elif self.constant:
            findings.info(
                "constant-start",
                name,
                f"the first frame of {self.constant} sample(s) is one number everywhere (at rest?)",
                count=self.constant,
            )


class Range(Check):
    """Smallest and largest value: what the type resolves, and what the quantity may be."""

    def __init__(self, v: Variable, dtype: np.dtype, negative: str | None) -> None:
        self.v, self.dtype, self.negative = v, dtype, negative
        self.low, self.high = np.inf, -np.inf
        self.below, self.first = 0, ""

    def block(self, b: Block) -> None:
        """See `Check`."""
        low, high = b.low.min(axis=1), b.high
        self.low = float(np.fmin(self.low, np.fmin.reduce(b.low, axis=None)))
        self.high = float(np.fmax(self.high, np.fmax.reduce(high, axis=None)))
        if self.negative is not None:
            negative = np.flatnonzero(low < 0)
            self.below += len(negative)
            if len(negative) and not self.first:
                self.first = f"sample {b.sample}, frame {b.frames.start + negative[0]}"

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        if self.low > self.high:
            return
        if self.below and self.negative is not None:
            add = getattr(findings, self.negative)
            add(
                "negative",
                self.v.name,
                f"it goes down to {self.low:g} in {self.below} frame(s), the first is {self.first}",
                smallest=self.low,
                frames=self.below,
            )
        if self.dtype.kind in "fc":
            self._precision(findings)

    def _precision(self, findings: Findings) -> None:
        largest = max(abs(self.low), abs(self.high))
        step = float(np.finfo(self.dtype).eps) * largest
        span = self.high - self.low
        if 0 < span < LEVELS * step:
            findings.warning(
                "precision",
                self.v.name,
                f"values near {largest:g} vary by {span:g} only, {span / step:.0f} steps of "
                f"{self.dtype}; subtract the constant or store float64",
                steps=span / step,
            )
        if largest > LARGE or 0 < largest < SMALL:
            findings.warning(
                "magnitude",
                self.v.name,
                f"the largest magnitude is {largest:g}, whose square no float32 holds; a fill "
                "value, or a unit to be changed",
                largest=largest,
            )


class Mask(Check):
    """A mask is 0 or 1."""

    def __init__(self, v: Variable) -> None:
        self.v, self.count, self.first = v, 0, ""

    def block(self, b: Block) -> None:
        """See `Check`."""
        wrong = (b.flat != 0) & (b.flat != 1)
        if wrong.any():
            value = b.flat[wrong][0]
            self.first = self.first or f"{value:g} in sample {b.sample}"
            self.count += int(wrong.sum())

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        if self.count:
            findings.error(
                "mask-values",
                self.v.name,
                f"a mask holds 0 and 1 only, but {self.count} values are others, the first "
                f"{self.first}",
                count=self.count,
            )


def sign(v: Variable, others: set[str], incompressible: bool) -> str | None:
    """How severe negative values are; None where they are allowed.

    A density is never negative.  A pressure is not where a density evolves with it; elsewhere it
    is known up to a constant.
    """
    name = v.name.lower()
    if v.rank:
        return None
    if name in DENSITIES:
        return "error"
    if name in DEPTHS:
        return "warning"
    if name in PRESSURES:
        return "error" if others & set(DENSITIES) and not incompressible else "info"
    return None
