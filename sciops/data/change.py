"""Sources with other types: cast to one, or complex fields as pairs of real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.data.layout import Layout
from sciops.data.source import Derived, Source

PARTS = ("_re", "_im")


class Cast(Derived):
    """Every field in one real type."""

    def __init__(self, under: Source, kind: np.dtype[Any]) -> None:
        super().__init__(under)
        self.kind = kind

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        return self.under.read(name, sample, frames).astype(self.kind, copy=False)

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        return self.kind

    def settings(self) -> Any:
        """See `Derived`."""
        return self.kind.str


def real(layout: Layout, window: Any) -> tuple[Layout, Any]:
    """The layout with every complex variable q as q_re and q_im, and the window that names them.

    Networks are real; the labelled view and the tools keep complex numbers.
    """
    split = {
        v.name
        for v in layout.schema.variables
        if v.role != "param"
        and any(s.values_dtype.kind == "c" for p in layout.parts for s in p.arrays[v.name])
    }
    if not split:
        return layout, window

    def names(v: str) -> tuple[str, ...]:
        return tuple(v + ending for ending in PARTS) if v in split else (v,)

    variables = [replace(v, name=k) for v in layout.schema.variables for k in names(v.name)]
    takes: list[Literal["real", "imag"]] = ["real", "imag"]
    parts = []
    for part in layout.parts:
        arrays = {}
        for name, stored in part.arrays.items():
            for k, take in zip(names(name), takes, strict=False):
                there = name in split
                arrays[k] = tuple(replace(s, take=take) for s in stored) if there else stored
        parts.append(replace(part, arrays=arrays))
    chosen = {
        k: None
        if getattr(window, k) is None
        else tuple(n for v in getattr(window, k) for n in names(v))
        for k in ("inputs", "targets")
    }
    schema = replace(layout.schema, variables=tuple(variables))
    return replace(layout, schema=schema, parts=tuple(parts)), window.model_copy(update=chosen)


class RealPairs(Derived):
    """A complex field q as the two real fields q_re and q_im, as The Well's helmholtz does."""

    def __init__(self, under: Source) -> None:
        super().__init__(under)
        variables, self.parts = [], {}
        for v in under.schema.variables:
            if v.role == "param" or under.dtype(v.name).kind != "c":
                variables.append(v)
                continue
            for ending in PARTS:
                variables.append(replace(v, name=v.name + ending))
                self.parts[v.name + ending] = (v.name, ending)
        self.schema = replace(under.schema, variables=tuple(variables))

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        if name not in self.parts:
            return self.under.read(name, sample, frames)
        whole, ending = self.parts[name]
        values = self.under.read(whole, sample, frames)
        return values.real if ending == PARTS[0] else values.imag

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        if name not in self.parts:
            return self.under.dtype(name)
        return np.dtype(f"f{self.under.dtype(self.parts[name][0]).itemsize // 2}")

    def shared(self, name: str) -> bool:
        """See `Source`."""
        return self.under.shared(self.parts.get(name, (name, ""))[0])

    def settings(self) -> Any:
        """See `Derived`."""
        return sorted(self.parts)
