r"""The training part as normalised numbers, for operators that are computed and not descended to.

With the statistics in the operator's buffers (see `sciops.core.operator`)

    x = (a - m_a) / s_a,   p_n = (p - m_p) / s_p,   v = (y - carried - m_y) / s_y,

so that `evaluate` has to map (x, p_n) to v.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sciops.core.errors import SchemaError
from sciops.core.operator import Operator, TrainingData

BATCH = 64  # samples held in memory at a time


@dataclass(frozen=True)
class Block:
    """Some samples, normalised, in float64.

    Shapes: x (B, C, *N), params (B, P), v (B, C', *N'), known (B, C', *N') bool.  Where a target
    is not known v is 0.
    """

    x: Tensor
    params: Tensor
    v: Tensor
    known: Tensor


def blocks(operator: Operator, train: TrainingData) -> Iterator[Block]:
    """All samples of the training part once, in order; of several target frames the first.

    Raises
    ------
    SchemaError
        If the training part has other grids than the operator was built for.
    """
    ours = (operator.schema.input_domain.shape, operator.schema.target_domain.shape)
    theirs = (train.schema.input_domain.shape, train.schema.target_domain.shape)
    if ours != theirs:
        raise SchemaError(
            f"the operator was built for inputs and targets {ours}, the training part has {theirs}"
        )
    for batch in train.batches(BATCH):
        a, params = batch["inputs"].double(), batch["params"].double()
        y, known = batch["targets"][:, 0].double(), batch["mask"][:, 0]
        if operator.carried:
            y = y - a[:, list(operator.carried)]  # what is fed back has the grid of the input
        v = (y - _wide(operator.target_mean, y)) / _wide(operator.target_scale, y)
        known = known.expand_as(v)
        yield Block(
            x=(a - _wide(operator.input_mean, a)) / _wide(operator.input_scale, a),
            params=(params - operator.param_mean) / operator.param_scale,
            v=torch.where(known, v, 0.0),
            known=known,
        )


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """(C,) in float64, shaped to go with (B, C, *N)."""
    return values.double().reshape(1, -1, *([1] * (like.ndim - 2)))


def mean_target(operator: Operator, train: TrainingData) -> Tensor:
    """(C', *N') mean of v over the samples where it is known; 0 where it never is."""
    total = count = torch.zeros((), dtype=torch.float64)
    for block in blocks(operator, train):
        total = total + block.v.sum(0)
        count = count + block.known.sum(0)
    return total / count.clamp(min=1)
