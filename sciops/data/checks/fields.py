"""One pass over all values: each block is read once and shown to every check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Variable
from sciops.data.findings import Findings
from sciops.data.source import Source
from sciops.data.stats import frames_of, mask_for, valid_points

Progress = Callable[[int, int], None]
GIVE_UP = 5  # samples that cannot be read, after which a file is not tried further


@dataclass
class Block:
    """Some frames of one variable of one sample.

    Attributes
    ----------
    values
        ([T,] *N, *components) as read.
    flat
        (T, P, c), complex numbers as pairs.
    valid
        (T, P), the points that the mask leaves; None where there is none.
    """

    variable: Variable
    sample: int
    frames: slice
    values: NDArray[Any]
    flat: NDArray[Any]
    valid: NDArray[np.bool_] | None

    @cached_property
    def finite(self) -> NDArray[np.bool_] | None:
        """(T, P) where all components are finite; None where that is everywhere."""
        if self.flat.dtype.kind != "f":
            return None
        one_by_one = np.isfinite(self.flat)
        return None if one_by_one.all() else one_by_one.all(axis=2)

    @cached_property
    def low(self) -> NDArray[Any]:
        """(T, c) smallest value of each frame; NaN where a frame has none."""
        return self._extreme(np.fmin, np.min)

    @cached_property
    def high(self) -> NDArray[Any]:
        """(T, c) largest value of each frame; NaN where a frame has none."""
        return self._extreme(np.fmax, np.max)

    def _extreme(self, skipping_nan: np.ufunc, plain: Callable[..., Any]) -> NDArray[Any]:
        wanted = self.finite
        if self.valid is not None:
            wanted = self.valid if wanted is None else wanted & self.valid
        if wanted is None:
            return np.asarray(plain(self.flat, axis=1))
        kept = np.where(wanted[..., None], self.flat, np.nan)
        return np.asarray(skipping_nan.reduce(kept, axis=1))


class Check(ABC):
    """What is looked for in one variable; blocks come in order, sample by sample."""

    @abstractmethod
    def block(self, b: Block) -> None:
        """Look at some frames."""

    def end(self, sample: int) -> None:  # noqa: B027
        """All frames of the sample were shown; nothing to do unless something spans frames."""

    @abstractmethod
    def report(self, findings: Findings) -> None:
        """Write down what was found."""


def scan(
    source: Source,
    checks: Mapping[str, Sequence[Check]],
    findings: Findings,
    progress: Progress | None = None,
) -> None:
    """Read every value once.

    Parameters
    ----------
    source
        The data set.
    checks
        Variable name -> what is looked for in it.
    findings
        To which the reports of all checks are added; parts that cannot be read are an error.
    progress
        Called with (samples done, samples).
    """
    broken: list[tuple[int, str, str]] = []
    every = list(dict.fromkeys(c for several in checks.values() for c in several))
    for sample in range(source.n_samples):
        for v in source.schema.variables:
            if v.role == "param" or (sample and source.shared(v.name)):
                continue
            try:
                for block in _blocks(source, v, sample):
                    for check in checks[v.name]:
                        check.block(block)
            except DataError as error:
                broken.append((sample, v.name, str(error)))
        for check in every:
            check.end(sample)
        if progress is not None:
            progress(sample + 1, source.n_samples)
        if len({s for s, _, _ in broken}) >= GIVE_UP:
            break
    if broken:
        sample, name, message = broken[0]
        findings.error(
            "unreadable",
            f"{name}, sample {sample}",
            f"{message}; {len(broken)} such place(s)",
            places=len(broken),
        )
    for check in every:
        check.report(findings)


def _blocks(source: Source, v: Variable, sample: int) -> Any:
    mask = mask_for(source, v)
    for frames, values in source.blocks(v.name, sample):
        valid = valid_points(source, mask, sample, frames)
        yield Block(v, sample, frames, values, frames_of(values, v), valid)
