r"""Nothing changes: the next frame is the newest one that was fed in, y = a_last(at).

The baseline of every forecast.  It is predict: increment with increment 0.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Schema


class Config(OperatorConfig):
    """Persistence; there is nothing to set."""

    normalise: Literal[False] = False  # the mean change over a step must not be added
    predict: Literal["increment"] = "increment"  # what persists is the newest frame

    def build(self, schema: Schema) -> Persistence:
        """The operator for data of `schema`; SchemaError where a target is fed back into none."""
        return Persistence(self, schema)


class Persistence(Operator):
    """y = the newest frame of the input that each target is fed back into.

    It has no parameters.
    """

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """The increment 0: (B, C, *N) -> (B, C', *shape of `at`)."""
        if at is None:
            shape = tuple(a.shape[2:])
        elif isinstance(at, Tensor):
            shape = (at.shape[0],)
        else:
            shape = tuple(x.shape[0] for x in at)
        return a.new_zeros((a.shape[0], len(self.carried), *shape))
