"""Our own format: The Well's layout, and what the file holds in its own words.

Any schema fits: several grids, points, shared fields, trajectories of different lengths, integers,
booleans, complex numbers.  Where all fields lie on one grid and are real, The Well's loader reads
the file too.
"""

from __future__ import annotations

import h5py

from sciops.data import contents
from sciops.data.writers._well_layout import WellLayout

LONGEST = 1 << 14  # characters of an attribute; HDF5 allows 64 KiB for all of an object


class SciopsWriter(WellLayout):
    """HDF5 in the format ``sciops``."""

    title = "sciops HDF5"

    def describe(self, file: h5py.File) -> None:
        """The array ``sciops_contents``; short attributes also for people who browse the file."""
        keys = {
            v.name: [{"key": self.key(v), "axes": list(self.stored_axes(v))}] for v in self.fields
        }
        params = {v.name: f"scalars/{v.name}" for v in self.source.schema.params}
        times = "dimensions/time" if self.times() is not None else None
        lengths = "dimensions/length" if self.source.ragged else None
        text, points = self.contents(keys, params, times, lengths)
        file.create_dataset(contents.KEY, data=text)
        for key, values in points.items():
            file.create_dataset(key, data=values)
        for name, value in self.source.attributes.items():
            if len(value) < LONGEST and name not in file.attrs:
                file.attrs[name] = value
