"""Frames and trajectories that are stored twice, found by hashes of their bytes."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import Variable
from sciops.data.checks.fields import Block, Check
from sciops.data.checks.splits import Parts
from sciops.data.findings import Findings
from sciops.data.source import Source

SHOWN = 3  # pairs that a message names


class Repeats(Check):
    """All variables together: one object looks at them all.

    A frame is repeated where every variable that evolves is the same as in an earlier frame of the
    trajectory; frames in which all of them are constant are left to `values.Constant`.  A
    trajectory is repeated where every field is; in another part of the split that is leakage.
    """

    def __init__(self, source: Source, parts: Parts) -> None:
        self.source = source
        self.part = {i: name for name, ids in parts.items() for i in ids}
        self.frames = 0
        self.first = ""
        self.hashes: list[bytes] = []  # one a sample
        self._begin()
        self._shared: dict[str, bytes] = {}

    def _begin(self) -> None:
        self._sums: NDArray[np.uint64] | None = None
        self._alive: NDArray[np.bool_] | None = None
        self._static: dict[str, bytes] = {}

    def block(self, b: Block) -> None:
        """See `Check`."""
        if not b.variable.time_varying:
            digest = _digest(b.variable, b.values)
            self._static[b.variable.name] = digest
            if self.source.shared(b.variable.name):
                self._shared[b.variable.name] = digest
            return
        n = int(self.source.lengths[b.sample])
        if self._sums is None or self._alive is None:
            self._sums, self._alive = np.zeros((n, 2), dtype=np.uint64), np.zeros(n, dtype=bool)
        for k, frame in enumerate(b.values, start=b.frames.start):
            self._sums[k] += np.frombuffer(_digest(b.variable, frame), dtype=np.uint64)
        self._alive[b.frames] |= ~(b.low == b.high).all(axis=1)

    def end(self, sample: int) -> None:
        """See `Check`."""
        whole = hashlib.blake2b(digest_size=16)
        for name, digest in sorted((self._shared | self._static).items()):
            whole.update(name.encode() + digest)
        if self._sums is not None and self._alive is not None:
            whole.update(self._sums.tobytes())
            self._look_for_frames(sample, self._sums, self._alive)
        self.hashes.append(whole.digest())
        self._begin()

    def _look_for_frames(
        self, sample: int, sums: NDArray[np.uint64], alive: NDArray[np.bool_]
    ) -> None:
        first: dict[bytes, int] = {}
        for k in np.flatnonzero(alive):
            earlier = first.setdefault(sums[k].tobytes(), int(k))
            if earlier != k:
                self.frames += 1
                self.first = self.first or f"frame {k} of sample {sample} is frame {earlier}"

    def pairs(self) -> list[tuple[int, int]]:
        """(sample, earlier sample of the same fields)."""
        first: dict[bytes, int] = {}
        found = [(i, first.setdefault(h, i)) for i, h in enumerate(self.hashes)]
        return [(i, earlier) for i, earlier in found if earlier != i]

    def _same_parameters(self, i: int, k: int) -> bool:
        return np.array_equal(self.source.params(i), self.source.params(k), equal_nan=True)

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        if self.frames:
            findings.warning(
                "repeated-frame",
                "frames",
                f"{self.frames} frame(s) are stored twice: {self.first}",
                count=self.frames,
            )
        pairs = self.pairs()
        part = self.part
        leaks = [(i, k) for i, k in pairs if i in part and k in part and part[i] != part[k]]
        inside = [pair for pair in pairs if pair not in set(leaks)]
        other = [(i, k) for i, k in inside if not self._same_parameters(i, k)]
        inside = [pair for pair in inside if pair not in set(other)]
        if leaks:
            i, k = leaks[0]
            findings.error(
                "leakage",
                f"samples {k} and {i}",
                f"the same fields stand in {part[k]} and in {part[i]}; {len(leaks)} such sample(s)",
                count=len(leaks),
            )
        if inside:
            shown = ", ".join(f"{i} = {k}" for i, k in inside[:SHOWN])
            findings.warning(
                "repeated-trajectory",
                "samples",
                f"{len(inside)} sample(s) hold the same fields as an earlier one: {shown}",
                count=len(inside),
            )
        if other:
            i, k = other[0]
            findings.warning(
                "parameter-contradiction",
                f"samples {k} and {i}",
                f"the fields are the same, the parameters are not: similar flows, or a mix-up; "
                f"{len(other)} such sample(s)",
                count=len(other),
            )


def _digest(v: Variable, values: NDArray[np.generic]) -> bytes:
    digest = hashlib.blake2b(v.name.encode(), digest_size=16)
    digest.update(np.ascontiguousarray(values).data)
    return digest.digest()
