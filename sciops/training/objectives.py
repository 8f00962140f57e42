r"""What a training step minimises: ``objective(model, batch, generator) -> (loss, logs)``.

A function of this signature fits the loop, wherever it comes from: the model (perhaps wrapped for
several processes), a batch of `Sample`s, and a random generator whose state is part of the
checkpoint.  `logs` holds numbers for the log.  With T > 1 target frames the data objectives unroll
the model on its own output and average over the frames.

    relative_l2            mean over samples of ||p - y|| / ||y||, the norm over channels and points
    relative_h1            the same with the H1 norm in the unit of the coordinates
    relative_h1_spectral   the same with the truncated H1 norm of the MgNO papers
    mse                    mean of ((p - y) / s)^2, s the scale of each target channel

The H1 norms are those of `sciops.metrics.sobolev`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sciops.core.errors import NotFound, SchemaError, did_you_mean
from sciops.core.operator import Operator, Sample, rollout
from sciops.core.schema import Domain
from sciops.metrics._sobolev import AxisNorm, continuous, squared_norm, truncated

Objective = Callable[[nn.Module, Sample, torch.Generator], tuple[Tensor, dict[str, float]]]

TINY = 1e-12  # relative to the scale of the target: the norm of a field that is zero everywhere


def relative_l2(
    model: nn.Module, batch: Sample, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Relative L2 error of the predicted frames, averaged over frames and samples."""
    error, truth = _error_and_truth(model, batch)
    size = truth.flatten(2).norm(dim=2)
    floor = TINY * inner(model).target_scale.norm() * truth[0, 0].numel() ** 0.5
    ratio = error.flatten(2).norm(dim=2) / size.clamp_min(floor)  # (B, T)
    return ratio.mean(), {}


def relative_h1(
    model: nn.Module, batch: Sample, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Relative H1 error of the predicted frames; SchemaError on points or with masked points."""
    return _relative_sobolev(model, batch, continuous), {}


def relative_h1_spectral(
    model: nn.Module, batch: Sample, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """The same with the truncated norm of MgNO; SchemaError also on graded axes."""
    return _relative_sobolev(model, batch, truncated), {}


def mse(
    model: nn.Module, batch: Sample, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Mean square error in units of each channel's scale."""
    error, _ = _error_and_truth(model, batch)
    scale = inner(model).target_scale.reshape(1, 1, -1, *[1] * (error.ndim - 3))
    return (error / scale).square().mean(), {}


def find(name: str) -> Objective:
    """The objective of that name, of this file or ``package.module:function``."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise NotFound(f"cannot load the objective {name!r}: {error}") from error
    known = {f.__name__: f for f in (relative_l2, relative_h1, relative_h1_spectral, mse)}
    if name not in known:
        raise NotFound(
            f"unknown objective {name!r}; known: {', '.join(known)}.{did_you_mean(name, known)}"
        )
    return known[name]


def inner(model: nn.Module) -> Operator:
    """The operator inside a wrapper for several processes."""
    found = getattr(model, "module", model)
    assert isinstance(found, Operator)
    return found


def _relative_sobolev(
    model: nn.Module, batch: Sample, norm: Callable[[Domain], list[AxisNorm]]
) -> Tensor:
    """Mean over frames and samples of ||p - y|| / ||y||, the squares summed over the channels."""
    if not batch["mask"].all():
        raise SchemaError(
            "an H1 objective needs data at every point, but the mask has points without; "
            "derivatives across a mask mean nothing: use relative_l2"
        )
    lines = norm(inner(model).schema.target_domain)
    scale = inner(model).target_scale.amax()  # so that no square leaves float32
    error, truth = (
        squared_norm(q / scale, lines).sum(-1) for q in _error_and_truth(model, batch)
    )  # (B, T)
    exact = error == 0  # where the root has no derivative
    root = torch.where(exact, 0.0, torch.where(exact, 1.0, error).sqrt())
    return (root / truth.sqrt().clamp_min(TINY)).mean()


def _error_and_truth(model: nn.Module, batch: Sample) -> tuple[Tensor, Tensor]:
    """(B, T, C', *N') error with values that are not data set to zero, and truth."""
    truth = batch["targets"]
    predicted = rollout(model, batch, truth.shape[1], inner(model).schema)
    mask = batch["mask"]
    return torch.where(mask, predicted - truth, 0.0), torch.where(mask, truth, 0.0)
