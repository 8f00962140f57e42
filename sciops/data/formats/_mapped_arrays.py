"""The arrays that a mapping speaks of, by key, wherever they lie.

    one file          u, t0_fields/velocity       as `sciops.data.containers` names them
    a folder          u.npy, data.h5/u            file, and key where it holds several arrays

An ``.npy`` file and a saved tensor hold one array that has no name: any one key stands for it.
netCDF's scale_factor, add_offset and _FillValue are applied.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError, SciopsError, did_you_mean
from sciops.data import containers
from sciops.data.containers import npy
from sciops.data.containers import torch as torch_file
from sciops.data.contents import small
from sciops.data.formats import _netcdf
from sciops.data.layout import Stored

NAMELESS = ({npy.KEY}, {torch_file.KEY})
SHOWN = 12  # arrays that an error lists
UNLISTED = ("text",)  # containers of which even the shapes are expensive
SCALED = ("hdf5", "netcdf3")  # containers of netCDF


class Arrays:
    """The arrays of one file or store, or of the files of one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.is_dir() and containers.container(path) is None
        self._files: dict[Path, dict[str, Stored]] = {}

    @cached_property
    def nameless(self) -> bool:
        """Whether the file holds one array that has no name."""
        return not self.folder and set(self._of(self.path)) in NAMELESS

    def find(self, key: str) -> Stored:
        """The array of that key; DataError with all that there are."""
        if self.folder:
            return self._beside(key)
        found = self._of(self.path)
        if key.strip("/") in found:
            return found[key.strip("/")]
        raise DataError(self.path, f"no array {key!r}; {self.listing()}.{did_you_mean(key, found)}")

    def the_one(self) -> Stored:
        """The array of a file that holds one without a name."""
        return next(iter(self._of(self.path).values()))

    def name(self, key: str) -> str:
        """Name of a variable after its array: the last part of the key, without a file's ending."""
        last = key.strip("/").rsplit("/", 1)[-1]
        return Path(last).stem if self.folder and (self.path / key).exists() else last

    def numbers(self, key: str) -> NDArray[np.float64]:
        """All of a small real array: positions, times, parameters."""
        stored = self.find(key)
        if stored.values_dtype.kind not in "fiub":
            raise DataError(self.path, f"{key} must hold real numbers, got {stored.dtype}")
        try:
            values = small(self.path, stored)
        except SciopsError:
            raise
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, zlib.error) as error:
            raise DataError(self.path, f"cannot read {key} ({error})") from None
        pack = stored.packing
        found = values.astype(np.float64)
        if pack is not None:
            found = found * pack.scale + pack.shift
            found[values == (np.nan if pack.missing is None else pack.missing)] = np.nan
        if not np.isfinite(found).all():
            raise DataError(self.path, f"{key} holds NaN or infinity")
        return found

    def listing(self) -> str:
        """What there is, for errors."""
        if not self.folder:
            found = {k: a.shape for k, a in self._of(self.path).items()}
        else:
            found = {}
            for file in sorted(self.path.iterdir()):
                kind = containers.container(file)
                if kind is not None and kind not in UNLISTED and len(found) <= SHOWN:
                    inside = self._of(file)
                    single = len(inside) == 1
                    found |= {
                        file.name if single else f"{file.name}/{k}": a.shape
                        for k, a in inside.items()
                    }
        if not found:
            return "it holds no arrays of numbers"
        shown = [f"{k} {shape}" for k, shape in list(found.items())[:SHOWN]]
        return "it holds " + ", ".join(shown) + (", .." if len(found) > SHOWN else "")

    def _beside(self, key: str) -> Stored:
        """An array of a file in the folder."""
        words = key.split("/")
        for k in range(1, len(words) + 1):
            file, rest = self.path / "/".join(words[:k]), "/".join(words[k:])
            if containers.container(file) is None:
                continue
            found = self._of(file)
            if rest in found or (not rest and len(found) == 1):
                return found[rest] if rest else next(iter(found.values()))
            raise DataError(file, f"no array {rest!r}; it holds {', '.join(found)}")
        raise DataError(self.path, f"no file of arrays for {key!r} in the folder; {self.listing()}")

    def _of(self, file: Path) -> dict[str, Stored]:
        if file not in self._files:
            found = containers.arrays(file)
            netcdf = _netcdf.read(file) if containers.container(file) in SCALED else None
            if netcdf is not None:
                raws: dict[str, Any] = {
                    k: r for k, r in netcdf.variables.items() if k in found and r.stored is not None
                }
                found |= {k: _netcdf.decoded(file, k, r) for k, r in raws.items()}
            self._files[file] = found
        return self._files[file]
