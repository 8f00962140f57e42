"""Sources with other types: cast to one, or complex fields as pairs of real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
