"""Where the numbers of a data set lie in its files, and what they mean.

A `Format` looks at a path and gives a `Layout`.  The labelled view (`sciops.open_dataset`) and the
window reader for training both derive from it, so a format is one file that only describes:

    Layout   schema + parts           what is known, and where it is stored
    Part     n samples of one file    (or one group of it): frames, times, parameters, arrays
    Stored   one array                container, key, order of the stored axes, offset, chunks

Stored axes are named "sample", "time", an axis of the variable's grid (or "node"), "component",
"component2", or "" for an axis of length one that means nothing.  An axis that is not stored is
constant and is broadcast as a view.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Schema, Variable

Container = Literal["hdf5", "torch", "numpy", "memory"]
COMPONENTS = ("component", "component2")


@dataclass(frozen=True)
class Stored:
    """One stored array.

    Parameters
    ----------
    path, container, key
        File, how it is read, and the name inside it.
    axes
        Meaning of the stored axes, in stored order.
    shape, dtype
        As stored.
    offset
        Byte at which a contiguous, uncompressed, native array begins in the file; None where the
        bytes do not lie so.  Then a memory map reads it.
    chunks, filters
        Chunk shape and names of the filters, for planning reads; None and () where contiguous.
    fixed
        (stored axis, index): axes of which one entry belongs to the variable (a channel).
    array
        The numbers themselves, for the container "memory".
    """

    path: str
    container: Container
    key: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    offset: int | None = None
    chunks: tuple[int, ...] | None = None
    filters: tuple[str, ...] = ()
    fixed: tuple[tuple[int, int], ...] = ()
    array: NDArray[Any] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape):
            raise SchemaError(
                f"{self.path}: {self.key} is stored as {self.shape} but described as {self.axes}"
            )


@dataclass(frozen=True)
class Part:
    """Samples that are stored together.

    Parameters
    ----------
    name
        Where they are, for people: file and group.
    n_samples
        Number of trajectories n (or of independent samples).
    lengths
        (n,) frames of each trajectory; 1 where nothing evolves.
    arrays
        Variable name -> one stored array, or one a component.
    times
        (T,) or (n, T) times of the frames; None where they are not known.
    params
        Parameter name -> (n,) values.
    subset
        "train", "valid" or "test" where the format itself says so.
    """

    name: str
    n_samples: int
    lengths: NDArray[np.int64]
    arrays: Mapping[str, tuple[Stored, ...]]
    times: NDArray[np.float64] | None = None
    params: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    subset: str | None = None

    def __post_init__(self) -> None:
        if self.lengths.shape != (self.n_samples,):
            raise SchemaError(
                f"{self.name}: {self.n_samples} samples, lengths {self.lengths.shape}"
            )
        if self.times is not None and self.times.shape[-1] < self.lengths.max(initial=0):
            raise SchemaError(
                f"{self.name}: {self.lengths.max()} frames but {self.times.shape[-1]} times"
            )


@dataclass(frozen=True)
class Layout:
    """The description of a data set: what `Format.layout` returns.

    Parameters
    ----------
    schema
        Variables as they are stored; those that evolve have the role ``state``.
    parts
        In the order of the samples.
    format, reason
        Which format it was read as, and why.
    notes
        What a careful user should know (a trimmed time axis, an assumption).
    attributes
        Source, licence, citation, recipe and the like.
    provenance
        Parameter name -> where its value came from (attribute, YAML, file name, data set).
    """

    schema: Schema
    parts: tuple[Part, ...]
    format: str
    reason: str
    notes: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.parts:
            for v in self.schema.variables:
                if v.role == "param":
                    if part.params[v.name].shape != (part.n_samples,):
                        raise SchemaError(f"{part.name}: parameter {v.name!r} is not one a sample")
                else:
                    for stored in part.arrays[v.name]:
                        check_stored(stored, v, part)

    @cached_property
    def _ends(self) -> list[int]:
        """Number of samples up to the end of each part; there may be a thousand parts."""
        return list(accumulate(p.n_samples for p in self.parts))

    @property
    def n_samples(self) -> int:
        """Samples of all parts."""
        return self._ends[-1] if self.parts else 0

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) frames of each sample."""
        return np.concatenate([p.lengths for p in self.parts])

    def locate(self, sample: int) -> tuple[Part, int]:
        """The part that holds a sample, and its number there."""
        if not 0 <= sample < self.n_samples:
            raise IndexError(f"sample {sample} of {self.n_samples}")
        number = bisect_right(self._ends, sample)
        return self.parts[number], sample - (self._ends[number - 1] if number else 0)

    def times(self, sample: int) -> NDArray[np.float64]:
        """(T,) times of the frames of one sample; NaN where they are not known."""
        part, i = self.locate(sample)
        n = int(part.lengths[i])
        if part.times is None:
            return np.full(n, np.nan)
        return part.times[..., :n] if part.times.ndim == 1 else part.times[i, :n]

    def params(self, sample: int) -> NDArray[np.float64]:
        """(P,) parameters of one sample, in the schema's order."""
        part, i = self.locate(sample)
        return np.array([part.params[v.name][i] for v in self.schema.params], dtype=np.float64)

    def subsets(self) -> dict[str, list[int]]:
        """Sample numbers of each subset that the format itself declares."""
        out: dict[str, list[int]] = {}
        start = 0
        for part in self.parts:
            if part.subset is not None:
                out.setdefault(part.subset, []).extend(range(start, start + part.n_samples))
            start += part.n_samples
        return out

    @property
    def paths(self) -> list[str]:
        """All files, each once, in order."""
        return list(
            dict.fromkeys(
                s.path for p in self.parts for a in p.arrays.values() for s in a if s.path
            )
        )


def check_stored(stored: Stored, variable: Variable, part: Part) -> None:
    """SchemaError unless the stored axes carry the variable of that part."""
    sizes = dict(zip(stored.axes, stored.shape, strict=True))
    domain = variable.domain
    assert domain is not None
    fixed = {axis for axis, _ in stored.fixed}
    named = [a for k, a in enumerate(stored.axes) if a and k not in fixed]
    allowed = {"sample", *domain.names, *COMPONENTS[: variable.rank]}
    allowed |= {"time"} if variable.time_varying else set()
    where = f"{stored.path or part.name}: {stored.key}"
    if len(set(named)) != len(named) or not set(named) <= allowed:
        raise SchemaError(
            f"{where}: axes {stored.axes} do not fit {variable.name!r} on {domain.names}"
        )
    expected = dict(zip(domain.names, domain.shape, strict=True))
    expected |= dict(zip(COMPONENTS, variable.components, strict=False))
    if "sample" in named:
        expected["sample"] = part.n_samples
    wrong = {a: (sizes[a], expected[a]) for a in named if a in expected and sizes[a] != expected[a]}
    if wrong:
        raise SchemaError(
            f"{where}: stored as {stored.shape} = {stored.axes}, but (stored, expected) sizes "
            f"differ: {wrong}"
        )
    if "time" in named and sizes["time"] < part.lengths.max(initial=0):
        raise SchemaError(f"{where}: {sizes['time']} frames stored, {part.lengths.max()} expected")
    if any(size != 1 for axis, size in zip(stored.axes, stored.shape, strict=True) if not axis):
        raise SchemaError(
            f"{where}: an axis without meaning must have length 1, got {stored.shape}"
        )


class Format(ABC):
    """One way in which people store PDE data.  Subclasses hold no state.

    Attributes
    ----------
    title, source
        For the list of formats: name, and where the schema is documented.
    verified
        Genuine bytes on which it was tried; empty where it never was.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    verified: ClassVar[str] = ""

    @abstractmethod
    def recognises(self, path: Path) -> str | None:
        """Why the file or folder is of this format (its structure, not its name), or None."""

    @abstractmethod
    def layout(self, path: Path) -> Layout:
        """The description of the data; DataError where the structure is damaged."""

    @abstractmethod
    def write_tiny(self, path: Path) -> Path:
        """Write a few kilobytes of this format into the folder `path`; returns what to open."""
