"""An operator from outside the package, named ``contracts.outside:Config``, sound or with a fault.

Sound, it shows that the checks run on any plug-in; each fault breaks one contract on purpose, so
that a check which notices nothing is noticed.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Schema

Fault = Literal[
    "none", "complex", "ignores_at", "mixes_samples", "idle_parameter", "rounds", "float32_only",
    "extra_state", "lambda", "fixed_size", "branches_on_data", "no_jvp", "no_vmap", "cpu_only",
    "trains_on_a_copy",
]  # fmt: skip


class Config(OperatorConfig):
    """A pointwise network."""

    fault: Fault = "none"

    def build(self, schema: Schema) -> Outside:
        """The operator for data of `schema`."""
        return Outside(self, schema)


class Square(torch.autograd.Function):
    """v^2 with reverse mode only."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)
        return v * v

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return 2 * v * g


class Foreign:
    """Something that a safe reader must refuse."""


class Outside(Operator):
    """y = W_2 tanh(W_1 (a, p)) at every point, with a fault where one is asked for."""

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        c = schema.input_channels + len(schema.params)
        self.first, self.second = nn.Linear(c, 8), nn.Linear(8, schema.target_channels)
        self.size = schema.input_domain.shape[-1]
        fault = config.fault
        if fault == "complex":
            self.weight = nn.Parameter(torch.ones(1, dtype=torch.complex64))
        if fault == "idle_parameter":
            self.idle = nn.Parameter(torch.ones(1))
        if fault == "lambda":
            self.activation = lambda v: v
        if fault == "trains_on_a_copy":
            self.calls = 0

    def get_extra_state(self) -> Any:
        return Foreign() if self.config.fault == "extra_state" else torch.zeros(1)

    def set_extra_state(self, state: Any) -> None:
        pass

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        fault = self.config.fault
        p = params.reshape(*params.shape, *([1] * (a.ndim - 2))).expand(-1, -1, *a.shape[2:])
        v = self.first(torch.cat([a, p], 1).movedim(1, -1))
        v = self._faulty(v, a)
        v = self.second(torch.tanh(v)).movedim(-1, 1)
        if fault == "complex":
            v = v * self.weight.real
        return v if fault == "ignores_at" else self.sample_input(v, at)

    def _faulty(self, v: Tensor, a: Tensor) -> Tensor:
        fault = self.config.fault
        if fault == "mixes_samples":
            v = v - v.mean(0, keepdim=True)
        if fault == "rounds":
            v = v.float().to(v.dtype)
        if fault == "float32_only" and v.dtype == torch.bfloat16:
            raise TypeError("no bf16")
        if fault == "fixed_size":
            v = v + torch.ones(self.size, device=v.device)[:, None]
        if fault == "branches_on_data" and a.sum() > 0:
            v = 2 * v
        if fault in ("no_jvp", "no_vmap"):
            v = Square.apply(v)
        if fault == "cpu_only":
            v = v + torch.ones(1)
        if fault == "trains_on_a_copy":
            rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
            v = v * (1 + rank)
        return v
