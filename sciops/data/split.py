"""Splits by trajectory: seeded, hashed, stored, never empty in silence.

    split_samples              shares, drawn at random
    split_by_parameter         shares; samples of equal parameters stay together
    split_out_of_distribution  a range of a parameter is the test, the rest is drawn at random
    split_pdebench             the first or the last tenth, as PDEBench's loaders take it
    split_of_format            what the format itself declares

CFDBench's published splits are in `sciops.data.formats.cfdbench_legacy`.  A trajectory is never
cut: all its windows belong to one part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError, NotFound, SchemaError, did_you_mean
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
    settings
        What the rule was given, as JSON types.
    """

    parts: Mapping[str, tuple[int, ...]]
    rule: str
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

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
            "settings": dict(self.settings),
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
            split = cls(parts, str(tree["rule"]), tree["seed"], dict(tree.get("settings", {})))
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
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
    _check_shares(fractions, n, "trajectories")
    order = np.random.default_rng(seed).permutation(n)
    sizes = {k: max(1, round(f * n)) for k, f in fractions.items()}
    largest = max(fractions, key=lambda k: fractions[k])
    sizes[largest] += n - sum(sizes.values())
    parts, begin = {}, 0
    for name, size in sizes.items():
        parts[name] = tuple(sorted(int(i) for i in order[begin : begin + size]))
        begin += size
    rule = f"random by trajectory: {_listed(fractions)}"
    return Split(parts, rule, seed, {"kind": "random", "shares": dict(fractions)})


def split_by_parameter(
    layout: Layout, names: Sequence[str], fractions: Mapping[str, float], seed: int
) -> Split:
    """A seeded split in which samples of equal parameters belong to one part.

    Every part gets one group first, then each group goes to the part that lacks most.

    Parameters
    ----------
    layout
        The data set.
    names
        Parameters that must not be shared by two parts.
    fractions, seed
        As in `split_samples`; shares are met as well as the sizes of the groups allow.

    Raises
    ------
    SchemaError
        If there are fewer different values than parts.
    """
    values = np.stack([_values(layout, name) for name in names], axis=1)  # (n, P)
    _, group = np.unique(values, axis=0, return_inverse=True)
    group = group.reshape(-1)
    n_groups = int(group.max()) + 1
    _check_shares(fractions, n_groups, f"different values of {', '.join(names)}")
    parts: dict[str, list[int]] = {name: [] for name in fractions}
    smallest_first = sorted(fractions, key=lambda k: fractions[k])
    for number, g in enumerate(np.random.default_rng(seed).permutation(n_groups)):
        lacking = {k: f * layout.n_samples - len(parts[k]) for k, f in fractions.items()}
        if number < len(parts):
            part = smallest_first[number]
        else:
            part = max(lacking, key=lambda k: lacking[k])
        parts[part] += [int(i) for i in np.flatnonzero(group == g)]
    rule = f"whole groups of equal {', '.join(names)}: {_listed(fractions)}"
    settings = {"kind": "parameter", "parameters": list(names), "shares": dict(fractions)}
    return Split({k: tuple(sorted(ids)) for k, ids in parts.items()}, rule, seed, settings)


def split_out_of_distribution(
    layout: Layout,
    name: str,
    low: float | None,
    high: float | None,
    fractions: Mapping[str, float],
    seed: int,
) -> Split:
    """The samples with low <= parameter <= high are the part ``test``, the others are drawn.

    Parameters
    ----------
    layout
        The data set.
    name
        The parameter.
    low, high
        Ends of the range, both included; None where it is open.
    fractions
        Shares of the other parts in what remains; they add up to 1.
    seed
        Of the shuffle.

    Raises
    ------
    SchemaError
        If no sample, or too many, lie in the range.
    """
    values = _values(layout, name)
    inside = np.ones(len(values), dtype=bool)
    if low is not None:
        inside &= values >= low
    if high is not None:
        inside &= values <= high
    ends = f"[{'..' if low is None else f'{low:g}'}, {'..' if high is None else f'{high:g}'}]"
    if "test" in fractions:
        raise SchemaError(f"the test is the range of {name}; shares are those of the other parts")
    if not inside.any():
        raise SchemaError(
            f"no sample has {name} in {ends}; it lies in [{values.min():g}, {values.max():g}]"
        )
    rest = np.flatnonzero(~inside)
    drawn = split_samples(len(rest), fractions, seed)
    parts = {k: tuple(int(rest[i]) for i in ids) for k, ids in drawn.parts.items()}
    parts["test"] = tuple(int(i) for i in np.flatnonzero(inside))
    rule = f"out of distribution: {name} in {ends} is the test; rest {_listed(fractions)}"
    settings = {"kind": "range", "parameter": name, "low": low, "high": high}
    return Split(parts, rule, seed, settings | {"shares": dict(fractions)})


def split_pdebench(
    n: int, end: Literal["first", "last"] = "first", valid: float = 0.0, seed: int = 0
) -> Split:
    """PDEBench's test part: int(n / 10) samples at the begin, or those from int(0.9 n) on.

    Parameters
    ----------
    n
        Number of trajectories.
    end
        ``first`` is what its loader of whole arrays takes, ``last`` that of files with a group a
        sample.
    valid
        Share of the training part that becomes ``valid``, drawn with `seed`; 0 for none.  PDEBench
        itself selects on its test part.

    Raises
    ------
    SchemaError
        If a part would be empty: fewer than ten samples.
    """
    cut = int(n * 0.1) if end == "first" else int(n * 0.9)
    ids = tuple(range(n))
    test, train = (ids[:cut], ids[cut:]) if end == "first" else (ids[cut:], ids[:cut])
    rule = f"PDEBench: the {end} tenth is the test"
    settings: dict[str, Any] = {"kind": f"pdebench-{end}", "valid": valid}
    whole = Split({"train": train, "test": test}, rule, None, settings)
    if valid == 0.0:
        return whole
    drawn = split_samples(len(train), {"train": 1.0 - valid, "valid": valid}, seed)
    parts = {k: tuple(train[i] for i in ids) for k, ids in drawn.parts.items()} | {"test": test}
    return replace(whole, parts=parts, rule=f"{rule}, {valid:g} of the rest valid", seed=seed)


def _check_shares(fractions: Mapping[str, float], n: int, of: str) -> None:
    total = sum(fractions.values())
    if not fractions or abs(total - 1.0) > 1e-9 or min(fractions.values()) <= 0:
        raise SchemaError(f"shares must be positive and add up to 1, got {dict(fractions)}")
    if n < len(fractions):
        raise SchemaError(f"{n} {of} cannot fill the {len(fractions)} parts {list(fractions)}")


def _listed(fractions: Mapping[str, float]) -> str:
    return ", ".join(f"{k} {f:g}" for k, f in fractions.items())


def _values(layout: Layout, name: str) -> NDArray[np.float64]:
    """(n,) values of a parameter."""
    known = [v.name for v in layout.schema.params]
    if name not in known:
        raise NotFound(
            f"no parameter {name!r}; the data set has {', '.join(known) or 'none'}."
            f"{did_you_mean(name, known)}"
        )
    return np.concatenate([p.params[name] for p in layout.parts])


def split_of_format(layout: Layout) -> Split | None:
    """The split that the format itself declares (folders of The Well), if it does."""
    subsets = layout.subsets()
    if not subsets:
        return None
    parts = {k: tuple(v) for k, v in subsets.items()}
    return Split(parts, f"given by {layout.format}", None, {"kind": "format"})
