"""Adam on an objective that draws its own data, in a folder that resumes exactly.

The learning rate falls to zero by half a cosine.  All that decides the next step is in a
checkpoint, so that a descent that was killed ends with the same bits as one that was not (on the
CPU, with one number of threads).  There is no data set and no epoch here, and no choice between
weights: that is `loop.py`, with which it shares checkpoints and signals.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from pydantic import Field, PositiveInt
from torch import nn

from sciops.core.config import Settings
from sciops.core.errors import SciopsError
from sciops.training import checkpoint
from sciops.training.directions import Objective
from sciops.training.loop import Diverged, Progress, Stopped, stopping


class Descent(Settings):
    """Steps of Adam."""

    steps: PositiveInt = 1000
    lr: float = Field(1e-3, gt=0)  # at the start
    clip: float | None = Field(1.0, gt=0)  # largest norm of the gradient
    checkpoint_seconds: float = Field(30.0, gt=0)  # between two checkpoints


def minimise(
    model: nn.Module,
    objective: Objective,
    settings: Descent,
    generator: torch.Generator,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[float], float]:
    """Minimise an objective by Adam.

    Parameters
    ----------
    model
        A module with `setup(A)`; trained in place, and in `eval()` afterwards.
    objective
        `directions.line_search(..)`, `directions.krylov(..)`, or any function
        (model, generator) -> scalar.
    settings
        Of the descent.
    generator
        On the CPU; decides everything that is random here.
    folder
        Gets `checkpoints/`; one that is there is continued.
    progress
        Called after every step.

    Returns
    -------
    The loss of each step, before its update; and the seconds spent, over all processes that took
    part.

    Raises
    ------
    Diverged
        If the loss or its gradient is NaN or infinite.
    Stopped
        After SIGTERM or SIGINT, when a checkpoint stands where there is a folder.
    """
    run = _Descent(model, settings, generator, folder)
    run.resume()
    model.train()
    with stopping(run.stop):
        while len(run.losses) < settings.steps:
            value = run.step(objective)
            if progress is not None:
                progress(len(run.losses), settings.steps, {"loss": value})
            if run.due():
                run.save()
            if run.signal is not None:
                raise Stopped(run.signal, len(run.losses), saved=folder is not None)
    model.eval()
    return run.losses, run.spent()


class _Descent:
    """The state of a descent."""

    def __init__(
        self, model: nn.Module, settings: Descent, generator: torch.Generator, folder: Path | None
    ) -> None:
        self.model, self.settings, self.generator = model, settings, generator
        self.folder = None if folder is None else folder / "checkpoints"
        self.parameters = {k: p for k, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.Adam(self.parameters.values(), settings.lr)
        self.losses: list[float] = []
        self.seconds = 0.0  # spent before this process took over
        self.signal: int | None = None
        self.started = self.saved = time.monotonic()

    def stop(self, number: int) -> None:
        """Ask for the end after this step."""
        self.signal = number

    def step(self, objective: Objective) -> float:
        """One update; returns the loss before it."""
        done, steps = len(self.losses), self.settings.steps
        rate = self.settings.lr * (1 + math.cos(math.pi * done / steps)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = objective(self.model, self.generator)
        if not loss.requires_grad:
            raise SciopsError("the loss does not depend on any weight: nothing can be trained")
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged(f"the loss is {value} at step {done} of {steps}; try a smaller lr")
        loss.backward()
        size = nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.clip or math.inf)
        if not bool(size.isfinite()):
            raise Diverged(f"the gradient is {size} at step {done} of {steps}; try a smaller lr")
        self.optimizer.step()
        self.losses.append(value)
        return value

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        late = time.monotonic() - self.saved > self.settings.checkpoint_seconds
        return late or self.signal is not None or len(self.losses) == self.settings.steps

    def save(self) -> None:
        """Write a checkpoint."""
        if self.folder is None:
            return
        names = {id(p): k for k, p in self.parameters.items()}
        moments = {names[id(p)]: m for p, m in self.optimizer.state.items()}
        tensors, values = checkpoint.flatten(moments)
        groups = {
            "model": {k: p.detach() for k, p in self.parameters.items()},
            "optimizer": tensors,
            "rng": {"generator": self.generator.get_state()},
            "losses": {"losses": torch.tensor(self.losses, dtype=torch.float64)},
        }
        state = {"optimizer": values, "seconds": self.spent()}
        checkpoint.save(self.folder, len(self.losses), groups, state)
        self.saved = time.monotonic()

    def spent(self) -> float:
        """Seconds of this run so far, over all processes that it took."""
        return self.seconds + time.monotonic() - self.started

    def resume(self) -> None:
        """Continue from the newest checkpoint, if there is one."""
        newest = None if self.folder is None else checkpoint.latest(self.folder)
        if newest is None:
            return
        tensors, state = checkpoint.load(newest, ("model", "optimizer", "rng", "losses"))
        moments = checkpoint.unflatten(tensors["optimizer"], state["optimizer"])
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(tensors["model"][name])
                self.optimizer.state[p] = {
                    k: v if v.ndim == 0 else v.to(p.device) for k, v in moments[name].items()
                }
        self.generator.set_state(tensors["rng"]["generator"])
        self.losses = tensors["losses"]["losses"].tolist()
        self.seconds = state["seconds"]
