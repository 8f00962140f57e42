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

Container = Literal["hdf5", "torch", "npy", "npz", "netcdf3", "matlab", "zarr", "text", "memory"]
COMPONENTS = ("component", "component2")


@dataclass(frozen=True)
class Packing:
    """Numbers stored as integers (CF): value = stored * scale + shift; `missing` becomes NaN."""

    scale: float = 1.0
    shift: float = 0.0
    missing: float | None = None
    dtype: str = "<f4"  # of the unpacked values


@dataclass(frozen=True)
class Padding:
    """A constant that is put around a stored axis on reading; it stands in no file."""

    axis: str
    before: int
    after: int
    value: float


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
        Byte at which an uncompressed array begins in the file, so that a memory map reads it;
        None where the bytes do not lie so.
    strides
        Bytes between entries of each axis; None where the array lies densely in C order.
    chunks, filters
        Chunk shape and names of the filters, for planning reads; None and () where contiguous.
    fixed
        (stored axis, index): axes of which one entry belongs to the variable (a channel).
    flipped
        Axes that are stored from high to low and are turned round on reading.
    packing, padding, take
        How the numbers are unpacked; what is put around them; which part of a complex number is
        taken, or that integers mean false and true.
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
    strides: tuple[int, ...] | None = None
    flipped: tuple[str, ...] = ()
    packing: Packing | None = None
    padding: tuple[Padding, ...] = ()
    take: Literal["real", "imag", "bool"] | None = None
    array: NDArray[Any] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape):
            raise SchemaError(
                f"{self.path}: {self.key} is stored as {self.shape} but described as {self.axes}"
            )
        wrong = [(k, i) for k, i in self.fixed if not 0 <= i < self.shape[k]]
        if wrong:
            raise SchemaError(
                f"{self.path}: {self.key} is {self.shape}, entry {wrong} is not there"
            )

    @cached_property
    def index(self) -> tuple[tuple[Any, ...], int | None, int | None, tuple[str, ...]]:
        """(what to index with, where the sample and the frames go, the axes that are left)."""
        fixed = dict(self.fixed)
        entries = [fixed.get(k, slice(None) if a else 0) for k, a in enumerate(self.axes)]
        where = {a: k for k, a in enumerate(self.axes) if k not in fixed}
        left = tuple(
            a for k, a in enumerate(self.axes) if a not in ("", "sample") and k not in fixed
        )
        return tuple(entries), where.get("sample"), where.get("time"), left

    @cached_property
    def values_dtype(self) -> np.dtype[Any]:
        """Type of the values that are read, in the machine's byte order."""
        kind = np.dtype(self.dtype if self.packing is None else self.packing.dtype)
        if self.take == "bool":
            return np.dtype(bool)
        if self.take is not None and kind.kind == "c":
            kind = np.dtype(f"f{kind.itemsize // 2}")
        return kind.newbyteorder("=")


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

    def place(self, sample: int) -> tuple[int, int]:
        """(number of the part that holds a sample, number of the sample there)."""
        if not 0 <= sample < self.n_samples:
            raise IndexError(f"sample {sample} of {self.n_samples}")
        number = bisect_right(self._ends, sample)
        return number, sample - (self._ends[number - 1] if number else 0)

    def locate(self, sample: int) -> tuple[Part, int]:
        """The part that holds a sample, and its number there."""
        number, i = self.place(sample)
        return self.parts[number], i

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
    for pad in stored.padding:
        sizes[pad.axis] += pad.before + pad.after
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
    on_request
        Whether it is used only where it is named, never recognised.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    verified: ClassVar[str] = ""
    on_request: ClassVar[bool] = False

    @abstractmethod
    def recognises(self, path: Path) -> str | None:
        """Why the file or folder is of this format (its structure, not its name), or None."""

    @abstractmethod
    def layout(self, path: Path) -> Layout:
        """The description of the data; DataError where the structure is damaged."""

    @abstractmethod
    def write_tiny(self, path: Path) -> Path:
        """Write a few kilobytes of this format into the folder `path`; returns what to open."""
