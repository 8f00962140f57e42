"""The Well: HDF5 by its published rules, fields in float32 (docs/data_format.md).

What the rules have no place for is changed and said: other types become float32, a complex field
becomes two, trajectories of different lengths are refused.
Source: Ohana et al., The Well, NeurIPS 2024 (arXiv 2412.00568).
"""

from __future__ import annotations

import numpy as np

from sciops.core.errors import SchemaError
from sciops.core.schema import Grid
from sciops.data.change import Cast, RealPairs
from sciops.data.source import Source
from sciops.data.writers._well_layout import WellLayout


class TheWellWriter(WellLayout):
    """HDF5 in the format ``the_well``."""

    title = "The Well (HDF5)"
    reads_as = "the_well"

    @classmethod
    def adapted(cls, source: Source) -> tuple[Source, list[str]]:
        """See `Writer`."""
        fields = [v for v in source.schema.variables if v.role != "param"]
        domains = {v.domain for v in fields}
        if len(domains) != 1 or not isinstance(next(iter(domains)), Grid):
            raise SchemaError(
                "The Well's layout holds the fields of one grid; these lie on "
                f"{[d.shape for d in domains if d is not None]}; choose another format"
            )
        if source.ragged:
            raise SchemaError(
                f"The Well's layout holds trajectories of one length, these have "
                f"{source.lengths.min()} to {source.lengths.max()} frames; crop them, or choose "
                f"another format"
            )
        notes = []
        if any(source.dtype(v.name).kind == "c" for v in fields):
            source = RealPairs(source)
            notes.append("complex fields became two, with the endings _re and _im")
        kinds = {source.dtype(v.name) for v in source.schema.variables if v.role != "param"}
        if kinds != {np.dtype(np.float32)}:
            source = Cast(source, np.dtype(np.float32))
            notes.append(f"fields of {', '.join(sorted(map(str, kinds)))} became float32")
        return source, notes
