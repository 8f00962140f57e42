"""Parameters: finite, different, and the same wherever they are stated."""

from __future__ import annotations

import numpy as np

from sciops.data.findings import Findings
from sciops.data.layout import Layout

SAME = (
    1e-6  # relative: a parameter is often stored in float32 in one place and in float64 in another
)


def check(layout: Layout, findings: Findings) -> None:
    """All findings about parameters."""
    constant: dict[str, float] = {}
    for v in layout.schema.params:
        values = np.concatenate([p.params[v.name] for p in layout.parts])
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            findings.error(
                "parameter-not-finite",
                v.name,
                f"{len(wrong)} of {len(values)} values are NaN or infinite, the first of sample "
                f"{wrong[0]}",
                count=len(wrong),
            )
            continue
        if len(values) > 1 and np.ptp(values) == 0:
            constant[v.name] = float(values[0])
        _against_attribute(layout, v.name, findings)
    if constant:
        listed = ", ".join(f"{k} = {value:g}" for k, value in constant.items())
        findings.info(
            "parameter-constant",
            ", ".join(constant),
            f"{listed} in all samples: nothing can be learned from it",
            **constant,
        )


def _against_attribute(layout: Layout, name: str, findings: Findings) -> None:
    """The values of the first file against its attribute of the same name."""
    values = layout.parts[0].params[name]
    try:
        stated = float(layout.attributes[name])
    except (KeyError, ValueError):
        return
    off = np.abs(values - stated) > SAME * max(abs(stated), float(np.abs(values).max()))
    if off.any():
        k = int(np.argmax(off))
        findings.warning(
            "parameter-contradiction",
            name,
            f"the attribute says {stated:g}, but sample {k} has {values[k]:g} "
            f"({int(off.sum())} of {len(values)} samples differ)",
            stated=stated,
            value=float(values[k]),
        )
