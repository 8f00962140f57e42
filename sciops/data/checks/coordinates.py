"""Coordinates of space and time: spacing, order, steps, the number of frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import SPACING_TOLERANCE, Axis, Grid, Points
from sciops.data.findings import Findings
from sciops.data.layout import Layout

STEP = 1e-3  # relative: times are often stored in float32 or rounded to three digits
GAP = 1.5  # of the usual step; below it an uneven step is a choice, above it a frame is missing
MAJORITY = 0.5  # share of equal intervals from which an axis was meant to be uniform
STEP_NAMES = ("dt", "delta_t", "time_step", "timestep")
TIME_AXES = ("t", "time")


def check(layout: Layout, findings: Findings) -> None:
    """All findings about coordinates and times."""
    for axis in space_axes(layout):
        _axis(axis, findings)
    for points in _points(layout):
        _repeated_points(points, findings)
    if any(v.time_varying for v in layout.schema.variables):
        _times(layout, findings)
        _frame_counts(layout, findings)


def space_axes(layout: Layout) -> list[Axis]:
    """Every axis of every grid once, without those that are times."""
    domains = [v.domain for v in layout.schema.variables if isinstance(v.domain, Grid)]
    axes = [a for d in domains for a in d.axes if a.name not in TIME_AXES]
    return list(dict.fromkeys(axes))


def _points(layout: Layout) -> list[Points]:
    domains = [v.domain for v in layout.schema.variables if isinstance(v.domain, Points)]
    return list(dict.fromkeys(domains))


def _axis(axis: Axis, findings: Findings) -> None:
    if axis.size < 3 or axis.spacing != "graded":
        return
    gaps = np.diff(axis.coordinates)
    usual = float(np.median(gaps))
    odd = np.flatnonzero(np.abs(gaps - usual) > SPACING_TOLERANCE * usual)
    where = f"axis {axis.name}"
    if len(odd) == 0:
        findings.warning(
            "domain-ends",
            where,
            f"the points are uniform (h = {usual:g}) but fit no rule on [{axis.lower:g}, "
            f"{axis.upper:g}]; state where the domain ends",
            h=usual,
        )
    elif len(odd) <= (1 - MAJORITY) * len(gaps):
        k = int(odd[0])
        findings.warning(
            "coordinates",
            where,
            f"{len(gaps) - len(odd)} intervals are {usual:g} wide, {len(odd)} are not, the first "
            f"between the points {k} and {k + 1}: {gaps[k]:g}; uniform was meant?",
            h=usual,
            odd=len(odd),
        )
    else:
        findings.info(
            "graded-axis",
            where,
            f"the spacing varies from {gaps.min():g} to {gaps.max():g}; Fourier methods need a "
            "uniform one",
            smallest=float(gaps.min()),
            largest=float(gaps.max()),
        )


def _repeated_points(points: Points, findings: Findings) -> None:
    repeated = len(points.coordinates) - len(np.unique(points.coordinates, axis=0))
    if repeated:
        findings.warning(
            "coordinates",
            "node",
            f"{repeated} of {len(points.coordinates)} points lie where another does",
            repeated=repeated,
        )


def _all_times(layout: Layout) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """(first sample, times) of each different list of times."""
    start = 0
    for part in layout.parts:
        if part.times is None or part.times.ndim == 1:
            if part.n_samples:
                yield start, layout.times(start + int(np.argmax(part.lengths)))
        else:
            yield from ((start + i, layout.times(start + i)) for i in range(part.n_samples))
        start += part.n_samples


def _times(layout: Layout, findings: Findings) -> None:
    seen: set[str] = set()
    unknown = 0
    for sample, times in _all_times(layout):
        if np.isnan(times).all():
            unknown += 1
            continue
        code = _one_time_axis(layout, sample, times, Findings() if seen else findings)
        seen |= {code} if code else set()
    if unknown:
        findings.info("time-missing", "time", "the times of the frames are not known")


def _one_time_axis(
    layout: Layout, sample: int, times: NDArray[np.float64], findings: Findings
) -> str:
    """Findings about one list of times; the code of what was wrong, or nothing."""
    where = f"time of sample {sample}"
    steps = np.diff(times)
    if not np.isfinite(times).all() or (steps <= 0).any():
        k = int(np.argmin(np.append(steps > 0, False)))
        findings.error(
            "time-order",
            where,
            f"times must be finite and increase, but frame {min(k + 1, len(times) - 1)} is at "
            f"{times[min(k + 1, len(times) - 1)]:g} after {times[k]:g}",
            frame=k + 1,
        )
        return "time-order"
    if len(steps) == 0:
        return ""
    usual = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - usual)))
    if abs(steps[worst] - usual) > STEP * usual:
        if steps[worst] > GAP * usual and (steps <= (1 + STEP) * usual).mean() > MAJORITY:
            findings.warning(
                "time-gap",
                where,
                f"between the frames {worst} and {worst + 1} lies {steps[worst]:g}, elsewhere "
                f"{usual:g}; a frame may be missing",
                gap=float(steps[worst]),
                step=usual,
            )
            return "time-gap"
        findings.info(
            "time-uneven",
            where,
            f"steps vary from {steps.min():g} to {steps.max():g}",
            smallest=float(steps.min()),
            largest=float(steps.max()),
        )
        return "time-uneven"
    return _stated_step(layout, sample, float(steps.mean()), where, findings)


def _stated_step(layout: Layout, sample: int, step: float, where: str, findings: Findings) -> str:
    """The step of the times against every step that the file states."""
    for name, stated in stated_steps(layout, sample):
        if stated <= 0 or abs(step - stated) <= STEP * stated:
            continue
        ratio = step / stated
        if ratio > 1.5 and abs(ratio - round(ratio)) <= STEP * ratio:
            findings.info(
                "time-step",
                where,
                f"{name} is {stated:g}, the frames are {step:g} apart: {round(ratio)} steps of the "
                "solver a frame?",
                stated=stated,
                step=step,
            )
        else:
            findings.warning(
                "time-step",
                where,
                f"{name} is {stated:g}, but the frames are {step:g} apart "
                f"({100 * (step / stated - 1):+.1f} %); find out which is right",
                stated=stated,
                step=step,
            )
        return "time-step"
    return ""


def stated_steps(layout: Layout, sample: int) -> Iterator[tuple[str, float]]:
    """(where it stands, value) of every time step that is stated beside the times."""
    if layout.schema.dt is not None:
        yield "dt of the schema", layout.schema.dt
    for v, value in zip(layout.schema.params, layout.params(sample), strict=True):
        if v.name.lower() in STEP_NAMES:
            yield f"the parameter {v.name}", float(value)
    for name, text in layout.attributes.items():
        if name.lower() in STEP_NAMES:
            try:
                yield f"the attribute {name}", float(text)
            except ValueError:
                continue


def _frame_counts(layout: Layout, findings: Findings) -> None:
    for part in layout.parts:
        longest = int(part.lengths.max(initial=0))
        if part.times is not None and part.times.shape[-1] > longest:
            findings.warning(
                "frame-count",
                part.name,
                f"there are {part.times.shape[-1]} times for {longest} frames; the last are left "
                "out",
                times=part.times.shape[-1],
                frames=longest,
            )
        for v in layout.schema.variables:
            for stored in part.arrays.get(v.name, ()):
                sizes = dict(zip(stored.axes, stored.shape, strict=True))
                if v.time_varying and sizes.get("time", longest) > longest:
                    findings.warning(
                        "frame-count",
                        v.name,
                        f"{sizes['time']} frames are stored in {part.name}, {longest} are used",
                        stored=sizes["time"],
                        used=longest,
                    )
                    return
