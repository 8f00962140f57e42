"""Errors on windows, per sample and variable, shared among processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from sciops import metrics
from sciops.core.operator import Sample, rollout
from sciops.data.windows import Windows, collate
from sciops.training.distributed import World

if TYPE_CHECKING:
    from sciops.training.loop import Training


def validate(
    model: nn.Module, valid: Windows, settings: Training, world: World
) -> dict[str, float]:
    """Mean over samples, frames and variables of the metric that selects."""
    metric = metrics.find(settings.select)
    total = torch.zeros(2, dtype=torch.float64, device=world.device)
    share = list(range(world.rank, len(valid), world.size))
    steps = max(-(-len(valid) // world.size), 1)  # every rank runs as many forward passes (FSDP)
    share += [0] * (steps - len(share))
    real = len(range(world.rank, len(valid), world.size))
    done = 0
    for batch, predicted in predictions(model, Subset(valid, share), valid, settings, world):
        errors = flat_metric(metric, predicted, batch, valid)  # (B, T, V)
        keep = errors[: max(real - done, 0)]
        done += len(errors)
        total += torch.stack([keep.sum(), torch.tensor(float(keep.numel()), device=keep.device)])
    total = world.total(total)
    return {settings.select: float(total[0] / total[1])}


def predictions(
    model: nn.Module, part: Subset | Windows, windows: Windows, settings: Training, world: World
) -> Iterator[tuple[Sample, Tensor]]:
    """Batches and their rollouts (B, T, C', *N'), without gradients."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            loader = DataLoader(
                part, settings.batch_size, num_workers=settings.workers, collate_fn=collate
            )
            for batch in loader:
                batch = {k: t.to(world.device) for k, t in batch.items()}
                yield batch, rollout(model, batch, batch["targets"].shape[1], windows.schema)
    finally:
        model.train(was_training)


def flat_metric(metric: object, predicted: Tensor, batch: Sample, windows: Windows) -> Tensor:
    """A metric over every frame: (B, T, C', *N') -> (B, T, V, *extra)."""
    truth, mask = batch["targets"], batch["mask"]
    b, t = truth.shape[:2]
    values = metric(  # type: ignore[operator]
        predicted.flatten(0, 1), truth.flatten(0, 1), windows.schema, mask.flatten(0, 1)
    )
    return values.unflatten(0, (b, t))
