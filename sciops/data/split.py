"""Splits by trajectory: seeded, hashed, stored, never empty in silence.

A trajectory is never cut: all its windows belong to one part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciops.core.errors import DataError, SchemaError
from sciops.data.files import write_text
from sciops.data.layout import Layout


@dataclass(frozen=True)
class Split:
    """Numbers of the trajectories of each part.

    Parameters
    ----------
    parts
        Part name -> sorted sample numbers; parts do not overlap.
    rule
        How it was made, in words.
    seed
        Of the shuffle; None where nothing was drawn.
    """

    parts: Mapping[str, tuple[int, ...]]
    rule: str
    seed: int | None = None

    def __post_init__(self) -> None:
        seen: set[int] = set()
        for name, ids in self.parts.items():
            if not ids:
                raise SchemaError(f"the part {name!r} of the split is empty ({self.rule})")
            if seen & set(ids):
                raise SchemaError(f"samples {sorted(seen & set(ids))[:5]} stand in two parts")
            seen |= set(ids)

    @property
    def hash(self) -> str:
        """SHA-256 of the parts: two runs with one hash saw the same split."""
        tree = {k: list(v) for k, v in sorted(self.parts.items())}
        return hashlib.sha256(json.dumps(tree).encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write ``splits.json``."""
        tree = {
            "rule": self.rule,
            "seed": self.seed,
            "hash": self.hash,
            "parts": {k: list(v) for k, v in self.parts.items()},
        }
        write_text(path, json.dumps(tree))

    @classmethod
    def read(cls, path: Path) -> Split:
        """The inverse of `write`; DataError where the file is damaged or was edited."""
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            parts = {k: tuple(int(i) for i in v) for k, v in tree["parts"].items()}
            split = cls(parts, str(tree["rule"]), tree["seed"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(path, f"not a split: {error}") from None
        if split.hash != tree.get("hash"):
            raise DataError(path, "the hash does not fit the parts; the file was changed by hand")
        return split


def split_samples(n: int, fractions: Mapping[str, float], seed: int) -> Split:
    """A seeded random split of n trajectories.

    Parameters
    ----------
    n
        Number of trajectories.
    fractions
        Part name -> share; they add up to 1 (within 1e-9).  Every part gets at least one.
    seed
        Of the shuffle.

    Raises
    ------
    SchemaError
        If the shares do not add up to 1 or there are fewer trajectories than parts.
    """
    total = sum(fractions.values())
    if abs(total - 1.0) > 1e-9 or min(fractions.values()) <= 0:
        raise SchemaError(f"shares must be positive and add up to 1, got {dict(fractions)}")
    if n < len(fractions):
        raise SchemaError(
            f"{n} trajectories cannot fill the {len(fractions)} parts {list(fractions)}"
        )
    order = np.random.default_rng(seed).permutation(n)
    sizes = {k: max(1, round(f * n)) for k, f in fractions.items()}
    largest = max(fractions, key=lambda k: fractions[k])
    sizes[largest] += n - sum(sizes.values())
    parts, begin = {}, 0
    for name, size in sizes.items():
        parts[name] = tuple(sorted(int(i) for i in order[begin : begin + size]))
        begin += size
    shares = ", ".join(f"{k} {f:g}" for k, f in fractions.items())
    return Split(parts, f"random by trajectory: {shares}", seed)


def split_of_format(layout: Layout) -> Split | None:
    """The split that the format itself declares (folders of The Well), if it does."""
    subsets = layout.subsets()
    if not subsets:
        return None
    return Split({k: tuple(v) for k, v in subsets.items()}, f"given by {layout.format}")
