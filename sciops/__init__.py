"""Scientific operator learning: PDE surrogates, benchmark data, benchmark runs.

    import sciops
    data  = sciops.open_dataset("2D_diff-react_NA_NA.h5")        # labelled, lazy
    model = sciops.load("runs/darcy/unet-seed0")                 # a trained operator
    model.predict(data)

The public names are loaded when they are used; importing sciops imports nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_NAMES = {
    "Axis": "core.schema",
    "Boundary": "core.schema",
    "Grid": "core.schema",
    "Points": "core.schema",
    "Schema": "core.schema",
    "Variable": "core.schema",
    "SciopsError": "core.errors",
    "Operator": "core.operator",
    "OperatorConfig": "core.operator",
    "rollout": "core.operator",
    "open_dataset": "data.xarray_backend",
    "open_layout": "data.open",
    "from_arrays": "data.arrays",
    "Windows": "data.windows",
    "Window": "data.windows",
    "load": "operators._trained",
    "save": "operators._trained",
    "fit": "training.fit",
}

if TYPE_CHECKING:
    from sciops.core.errors import SciopsError as SciopsError
    from sciops.core.operator import Operator as Operator
    from sciops.core.operator import OperatorConfig as OperatorConfig
    from sciops.core.operator import rollout as rollout
    from sciops.core.schema import Axis as Axis
    from sciops.core.schema import Boundary as Boundary
    from sciops.core.schema import Grid as Grid
    from sciops.core.schema import Points as Points
    from sciops.core.schema import Schema as Schema
    from sciops.core.schema import Variable as Variable
    from sciops.data.arrays import from_arrays as from_arrays
    from sciops.data.open import open_layout as open_layout
    from sciops.data.windows import Window as Window
    from sciops.data.windows import Windows as Windows
    from sciops.data.xarray_backend import open_dataset as open_dataset
    from sciops.operators._trained import load as load
    from sciops.operators._trained import save as save
    from sciops.training.fit import fit as fit


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'sciops' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sciops.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_NAMES, "__version__"])
