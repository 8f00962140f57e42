"""Train an operator on arrays in one call, for use as a library."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sciops.core.config import validate
from sciops.core.operator import Operator, OperatorConfig
from sciops.core.resolve import find
from sciops.data.layout import Layout
from sciops.data.split import split_samples
from sciops.data.windows import Window, Windows
from sciops.operators._trained import Trained
from sciops.training.distributed import join
from sciops.training.loop import Loop, Progress, Training


def fit(
    operator: str | Mapping[str, Any] | OperatorConfig,
    layout: Layout,
    training: Training | None = None,
    window: Window | None = None,
    valid: float = 0.1,
    seed: int = 0,
    folder: str | Path | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Trained:
    """Train an operator on a data set; the weights are those that were best on the valid part.

    Parameters
    ----------
    operator
        A name (``"unet"``), a mapping with ``kind``, or settings.
    layout
        From `sciops.from_arrays` or `sciops.open_layout`.
    training, window
        How to train, and which frames make a sample.
    valid
        Share of the trajectories by which the best epoch is chosen.
    seed
        Of the split, the weights and the order of the samples.
    folder
        Keeps checkpoints and log; a run in it continues.  None: a temporary folder.

    Returns
    -------
    Trained
        ``.predict(dataset)``, ``.operator``; `sciops.save` writes it as a folder.
    """
    if isinstance(operator, str):
        operator = {"kind": operator}
    if isinstance(operator, Mapping):
        operator = validate(find("operators", str(operator.get("kind"))), operator)
    split = split_samples(layout.n_samples, {"train": 1.0 - valid, "valid": valid}, seed)
    train = Windows(layout, split.parts["train"], window)
    other = Windows(layout, split.parts["valid"], window)
    world = join(device)
    torch.manual_seed(seed)
    built: Operator = operator.build(train.schema).fit(train).to(world.device)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder) if folder is not None else Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        if any(p.requires_grad for p in built.parameters()):
            Loop(built, train, other, training or Training(), seed, place, world, progress).run()
    return Trained(built.eval())
