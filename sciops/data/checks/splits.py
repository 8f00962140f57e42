"""Splits: whether a sample, or its copy, stands in two parts; and whether the file is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sciops.core.errors import DataError
from sciops.data.files import sidecar
from sciops.data.findings import Findings
from sciops.data.layout import Layout
from sciops.data.split import Split

Parts = dict[str, list[int]]


def parts_of(path: Path, layout: Layout, findings: Findings) -> Parts:
    """The parts: of ``splits.json`` where there is one, else those that the format declares."""
    beside = sidecar(path, "splits")
    if not beside.is_file():
        return layout.subsets()
    parts = _raw(beside)
    if parts is None:
        findings.error("split-damaged", str(beside), "not a split: {part: [sample numbers]}")
        return {}
    where = str(beside)
    outside = sorted({i for ids in parts.values() for i in ids if not 0 <= i < layout.n_samples})
    if outside:
        findings.error(
            "split-range",
            where,
            f"it names samples {outside[:5]}, the data set has 0 .. {layout.n_samples - 1}",
            count=len(outside),
        )
    twice = _twice(parts)
    if twice:
        sample, names = next(iter(twice.items()))
        findings.error(
            "leakage",
            where,
            f"{len(twice)} sample(s) stand in two parts: {sample} in {' and '.join(names)}",
            count=len(twice),
        )
    if not outside and not twice:
        _whole(beside, parts, layout, findings)
    return {k: [i for i in ids if 0 <= i < layout.n_samples] for k, ids in parts.items()}


def _raw(path: Path) -> Parts | None:
    """The parts as they stand in the file; None where it is not of that structure."""
    try:
        tree: Any = json.loads(path.read_text(encoding="utf-8"))
        parts = tree["parts"]
        good = all(isinstance(i, int) for ids in parts.values() for i in ids)
        return {str(k): list(ids) for k, ids in parts.items()} if good else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _twice(parts: Parts) -> dict[int, list[str]]:
    """Sample -> parts, for samples that are named more than once."""
    where: dict[int, list[str]] = {}
    for name, ids in parts.items():
        for i in ids:
            where.setdefault(i, []).append(name)
    return {i: names for i, names in where.items() if len(names) > 1}


def _whole(path: Path, parts: Parts, layout: Layout, findings: Findings) -> None:
    """Empty parts, a hash that does not fit, samples that no part names."""
    try:
        Split.read(path)
    except DataError as error:
        findings.error("split-damaged", str(path), str(error).removeprefix(f"{path}: "))
        return
    unused = layout.n_samples - sum(len(ids) for ids in parts.values())
    if unused:
        findings.info("split-unused", str(path), f"{unused} sample(s) stand in no part")


def parameters(parts: Parts, layout: Layout, findings: Findings) -> None:
    """How many samples of the other parts have parameters that train has, too."""
    if "train" not in parts or not layout.schema.params:
        return
    values = {i: layout.params(i).tobytes() for ids in parts.values() for i in ids}
    if len(set(values.values())) < 2:
        return
    known = {values[i] for i in parts["train"]}
    for name, ids in parts.items():
        shared = sum(values[i] in known for i in ids)
        if name != "train" and shared:
            findings.info(
                "shared-parameters",
                f"part {name}",
                f"{shared} of {len(ids)} samples have parameters that train has, too",
                shared=shared,
                of=len(ids),
            )
