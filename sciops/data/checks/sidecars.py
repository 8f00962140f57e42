"""``stats.json`` and ``manifest.json`` against the data and the split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciops.core.errors import DataError, SchemaError
from sciops.core.statistics import Statistics
from sciops.data.checks.splits import Parts
from sciops.data.files import sidecar
from sciops.data.findings import Findings
from sciops.data.normalise import read_statistics
from sciops.data.source import Source
from sciops.data.split import Split
from sciops.data.stats import Progress, collect
from sciops.data.verify import check_file, read_manifest

AGREE = 1e-6  # of std: float64 sums in another order agree to 1e-9, files hold every digit


def manifest(path: Path, findings: Findings) -> None:
    """The file against its checksum."""
    beside = sidecar(path, "manifest")
    if not beside.is_file():
        return
    try:
        tree = read_manifest(beside)
    except DataError as error:
        findings.error("manifest", str(beside), str(error).removeprefix(f"{beside}: "))
        return
    for checked in check_file(beside.parent / tree["file"], tree):
        if not checked.ok:
            findings.error(
                "manifest",
                checked.what,
                f"{checked.message}; sciops data verify says which arrays differ",
            )


def statistics(
    path: Path,
    source: Source,
    parts: Parts,
    recompute: bool,
    findings: Findings,
    progress: Progress | None = None,
) -> None:
    """``stats.json``: readable, of the split that lies beside it, and, if asked, right."""
    beside = sidecar(path, "stats")
    if not beside.is_file():
        if recompute:
            findings.info("statistics-missing", str(beside), "there is none to be recomputed")
        return
    try:
        stored, fitted_on = read_statistics(beside)
    except (DataError, SchemaError) as error:
        findings.error("statistics-damaged", str(beside), str(error).removeprefix(f"{beside}: "))
        return
    splits = sidecar(path, "splits")
    try:
        current = Split.read(splits).hash if splits.is_file() else None
    except DataError:
        current = None  # reported by `splits`
    if current is not None and fitted_on != current:
        findings.warning(
            "statistics-stale",
            str(beside),
            "it was fitted on another split than the one that lies beside it; run sciops data "
            "stats --write",
        )
    elif recompute:
        found = collect(source, parts.get("train"), None, 1, progress).result()
        _compare(beside, stored, found, findings)


def _compare(
    path: Path, stored: dict[str, Statistics], found: dict[str, Statistics], findings: Findings
) -> None:
    for name, old in stored.items():
        new = found.get(name)
        if new is None:
            findings.error("statistics-wrong", f"{path.name}: {name}", "there is no such variable")
        elif (worst := _largest_difference(old, new)) > AGREE:
            findings.error(
                "statistics-wrong",
                f"{path.name}: {name}",
                f"stored and recomputed values differ by {worst:.3g} standard deviations; run "
                "sciops data stats --write",
                difference=worst,
            )


def _largest_difference(old: Statistics, new: Statistics) -> float:
    """In units of std; infinite where the shapes or counts differ."""
    if old.count != new.count or old.mean.shape != new.mean.shape:
        return float("inf")
    names = ("mean", "std", "rms", "min", "max")
    magnitude = np.maximum(np.abs(new.min), np.abs(new.max))
    scale = np.where(new.std > 1e-12 * magnitude, new.std, np.maximum(magnitude, 1.0))
    differences = [np.abs(getattr(old, n) - getattr(new, n)) / scale for n in names]
    worst = float(np.max(differences))
    return worst if np.isfinite(worst) else float("inf")
