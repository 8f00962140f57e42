r"""The mean field of the training part, whatever the input: y(x) = (1/n) sum_i y_i(x).

The first thing that any learned operator has to beat.  With predict: increment it adds the mean
change to the newest frame.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sciops.core.operator import At, Operator, OperatorConfig, TrainingData
from sciops.core.schema import Schema
from sciops.operators._domains import AskedPlaces, TargetField
from sciops.operators._fitting import mean_target


class Config(OperatorConfig):
    """The training mean; there is nothing to set."""

    def build(self, schema: Schema) -> Mean:
        """The operator for data of `schema`."""
        return Mean(self, schema)


class Mean(Operator):
    """y = mean of the training targets, read at the asked points.

    It has no parameters; the mean is a buffer that `fit` fills (0 before).  Between the training
    points it is interpolated, see `sciops.operators._domains.TargetField`.
    """

    field: Tensor

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        self.places, self.target = AskedPlaces(schema), TargetField(schema)
        shape = (schema.target_channels, *schema.target_domain.shape)
        self.register_buffer("field", torch.zeros(shape))

    def prepare(self, train: TrainingData) -> None:
        """Take the mean over the training part; missing values are left out."""
        self.field.copy_(mean_target(self, train))

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """(B, C, *N) -> (B, C', *shape of `at`), the same for every sample."""
        places = self.places(a, at, self.input_coordinates(a))
        v = self.target(self.field[None], places)  # (1, C', ..)
        return v.expand(a.shape[0], *v.shape[1:])
