"""The training loop: minimises any objective, chooses on valid, resumes exactly.

Everything that decides the next number is in the checkpoint: weights, optimiser, averaged
weights, the best weights so far, the step, and the state of every generator; the order of the
samples follows from (seed, epoch) alone.  A run that was killed therefore ends, after resuming,
with the same bits as one that was not (on CPU, with one number of threads and processes).
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sciops import metrics
from sciops.core.config import Settings
from sciops.core.errors import NotFound, ResumeError, SciopsError
from sciops.core.operator import Operator, Sample
from sciops.data.order import block_order, pays
from sciops.data.windows import Windows, collate
from sciops.training import checkpoint, objectives
from sciops.training.distributed import World, wrap
from sciops.training.validation import validate

GROUPS = ("model", "optimizer", "ema", "best", "rng")  # files of a checkpoint


class Training(Settings):
    """How an operator is trained."""

    objective: str = "relative_l2"  # of training/objectives.py, or package.module:function
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(32, ge=1)  # samples a step, over all processes
    accumulate: int = Field(1, ge=1)  # parts into which a batch is cut, to save memory
    lr: float = Field(1e-3, gt=0)  # highest learning rate
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"  # per step
    warmup: float = Field(0.3, ge=0, lt=1)  # share of the steps in which the rate rises
    clip: float | None = Field(None, gt=0)  # largest norm of the gradient
    ema: float | None = Field(None, gt=0, lt=1)  # decay of averaged weights; None: none
    precision: Literal["float32", "bf16"] = "float32"  # bf16: autocast
    select: str = "relative_l2"  # metric by which the best weights are chosen on valid
    validate_every: int = Field(1, ge=1)  # epochs
    checkpoint_seconds: float = Field(30.0, gt=0)  # between two checkpoints
    workers: int = Field(0, ge=0)  # processes that read data
    shuffle: Literal["auto", "full", "blocks"] = "auto"  # blocks: see sciops.data.order
    distributed: Literal["ddp", "fsdp"] = "ddp"

    @field_validator("objective", "select")
    @classmethod
    def _exists(cls, name: str, info: ValidationInfo) -> str:
        return known_name(objectives.find if info.field_name == "objective" else metrics.find, name)


class Diverged(SciopsError, ArithmeticError):
    """The loss is not a finite number any more."""


class Stopped(SciopsError):
    """A signal asked for the end; a checkpoint was written where there is a folder for it."""

    def __init__(self, signum: int, step: int, saved: bool = True) -> None:
        name = signal.Signals(signum).name
        kept = "a checkpoint is written, and the same command continues from it"
        super().__init__(
            f"stopped by {name} after step {step}; {kept if saved else 'nothing is kept of it'}"
        )
        self.exit_code = 128 + signum


def known_name(find: Callable[[str], Any], name: str) -> str:
    """The name, if `find` knows it; a ValueError for pydantic otherwise."""
    try:
        find(name)
    except NotFound as error:
        raise ValueError(str(error)) from None
    return name


Progress = Callable[[int, int, Mapping[str, float]], None]  # (step, steps, numbers)


class Loop:
    """One training run inside a folder.

    Parameters
    ----------
    operator
        Fitted (`Operator.fit`) and on its device; trained in place.
    train, valid
        Windows of the two parts.
    settings, seed
        How to train.
    folder
        Gets ``metrics.jsonl`` and ``checkpoints/``; a checkpoint in it is continued.
    world
        Place of this process.
    progress
        Called after every step.
    """

    def __init__(
        self,
        operator: Operator,
        train: Windows,
        valid: Windows,
        settings: Training,
        seed: int,
        folder: Path,
        world: World,
        progress: Progress | None = None,
    ) -> None:
        self.operator, self.train, self.valid = operator, train, valid
        self.settings, self.seed, self.folder, self.world = settings, seed, folder, world
        self.progress = progress
        self.model = wrap(operator, world, settings.distributed)
        self.objective = objectives.find(settings.objective)
        self.parameters = {
            clean_name(k): p for k, p in self.model.named_parameters() if p.requires_grad
        }
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self.generator = torch.Generator(device=world.device).manual_seed(seed)
        self.ema: dict[str, Tensor] = {}
        if settings.ema is not None:
            self.ema = {k: p.detach().clone() for k, p in self.parameters.items()}
        self.steps_per_epoch = math.ceil(len(train) / settings.batch_size)
        self.steps = settings.epochs * self.steps_per_epoch
        self.step = 0
        self.seconds = 0.0  # spent in training, over all processes that this run took
        self.best: dict[str, Any] = {"value": math.inf, "epoch": 0}
        self.best_weights: dict[str, Tensor] = {}
        self.log_bytes = 0
        self._sum = torch.zeros(
            (), dtype=torch.float64, device=world.device
        )  # of losses, this epoch
        self._signal: int | None = None

    def run(self) -> dict[str, Any]:
        """Train to the end; returns the summary of the best epoch, whose weights are in place.

        Raises
        ------
        Diverged
            If the loss is NaN or infinite.
        Stopped
            After SIGTERM or SIGINT, when a checkpoint stands.
        """
        self._resume()
        with stopping(self.stop):
            started, saved = time.monotonic(), time.monotonic()
            while self.step < self.steps:
                epoch, first = divmod(self.step, self.steps_per_epoch)
                for batch in self._batches(epoch, first):
                    now = time.monotonic()
                    self.seconds, started = self.seconds + now - started, now
                    loss = self._step(batch)
                    self.step += 1
                    if self.step % self.steps_per_epoch == 0:
                        self.seconds += time.monotonic() - started
                        self._end_of_epoch(epoch + 1, loss)
                        started = time.monotonic()
                    if self.progress is not None:
                        self.progress(
                            self.step, self.steps, {"loss": loss, "valid": self.best["value"]}
                        )
                    late = time.monotonic() - saved > self.settings.checkpoint_seconds
                    due, stop = self.world.any(late, self._signal is not None)
                    if due or stop or self.step == self.steps:
                        self._save()
                        saved = time.monotonic()
                    if stop:
                        raise Stopped(self._signal or signal.SIGTERM, self.step)
        self._place(self.best_weights)
        return {**self.best, "steps": self.steps, "train_seconds": self.seconds}

    def _batches(self, epoch: int, first: int) -> Iterator[Sample]:
        """This process's share of the batches of an epoch, from batch `first` on."""
        s, w = self.settings, self.world
        generator = torch.Generator().manual_seed(mix(self.seed, epoch))
        by_blocks = s.shuffle == "blocks" or (s.shuffle == "auto" and pays(self.train))
        if by_blocks:
            order = block_order(self.train, generator)
        else:
            order = torch.randperm(len(self.train), generator=generator).tolist()
        batches = [order[k : k + s.batch_size] for k in range(0, len(order), s.batch_size)]
        shares = [self._share(b) for b in batches[first:]]
        loader = DataLoader(
            self.train,
            batch_sampler=shares,
            collate_fn=collate,
            num_workers=s.workers,
            generator=torch.Generator().manual_seed(mix(self.seed, epoch)),
            pin_memory=w.device.type == "cuda",
            persistent_workers=False,
        )
        for batch in loader:
            yield {k: t.to(w.device, non_blocking=True) for k, t in batch.items()}  # type: ignore[misc]

    def _share(self, batch: list[int]) -> list[int]:
        """This rank's samples of a batch, filled up from its begin so that all have as many."""
        size = self.world.size
        while len(batch) % size:
            batch = batch + batch[: size - len(batch) % size]
        return batch[self.world.rank :: size]

    def _step(self, batch: Sample) -> float:
        """One update of the weights; returns the loss, averaged over the processes."""
        s = self.settings
        rate = s.lr * rate_factor(self.step, self.steps, s.schedule, s.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        n = batch["inputs"].shape[0]
        parts = min(s.accumulate, n)
        total = torch.zeros((), dtype=torch.float64, device=self.world.device)
        for part in _cut(batch, parts):
            share = part["inputs"].shape[0] / n
            with torch.autocast(self.world.device.type, torch.bfloat16, s.precision == "bf16"):
                loss, _ = self.objective(self.model, part, self.generator)
            (loss * share).backward()
            total += loss.detach().double() * share
        mean = float(self.world.total(total) / self.world.size)
        if not math.isfinite(mean):
            raise Diverged(
                f"the loss is {mean} at step {self.step} of {self.steps}, learning rate "
                f"{rate:.2e}; try a smaller training.lr, or training.clip=1.0"
            )
        if s.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters.values(), s.clip)
        self.optimizer.step()
        for name, average in self.ema.items():
            average.lerp_(self.parameters[name].detach(), 1.0 - float(s.ema or 0.0))
        self._sum += mean
        return mean

    def _end_of_epoch(self, epoch: int, last: float) -> None:
        """Log the epoch; validate, and keep the weights if they are the best so far."""
        mean = float(self._sum) / self.steps_per_epoch
        self._sum.zero_()
        rate = self.optimizer.param_groups[0]["lr"]
        self._log(
            {
                "step": self.step,
                "epoch": epoch,
                "time": round(self.seconds, 3),
                "train_loss": mean,
                "lr": rate,
            }
        )
        if epoch % self.settings.validate_every and epoch != self.settings.epochs:
            return
        kept = {k: p.detach().clone() for k, p in self.parameters.items()} if self.ema else {}
        self._place(self.ema)
        scores = validate(self.model, self.valid, self.settings, self.world)
        self._log({"step": self.step, "epoch": epoch, "valid": scores})
        value = scores[self.settings.select]
        if not self.best_weights or value < self.best["value"]:
            self.best = {"value": value, "epoch": epoch}
            self.best_weights = {k: p.detach().clone() for k, p in self.parameters.items()}
        self._place(kept)

    def _place(self, weights: Mapping[str, Tensor]) -> None:
        """Copy weights into the model (nothing to do for an empty mapping)."""
        with torch.no_grad():
            for name, value in weights.items():
                self.parameters[name].copy_(value)
        if weights and hasattr(self.model, "reshard"):
            self.model.reshard()  # FSDP2 keeps what it gathered for a forward pass without gradient

    def _log(self, entry: Mapping[str, Any]) -> None:
        if self.world.main:
            line = json.dumps(entry) + "\n"
            with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(line)
            self.log_bytes += len(line.encode())

    def _save(self) -> None:
        """Write a checkpoint of the gathered state."""
        tensors, values = checkpoint.flatten(self._optimizer_state())
        groups = {
            "model": whole(self.parameters),
            "optimizer": tensors,
            "ema": whole(self.ema),
            "best": whole(self.best_weights),
            "rng": self._generators(),
        }
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "log_bytes": self.log_bytes,
            "loss_sum": float(self._sum),
            "world": self.world.size,
            "optimizer": values,
        }
        if self.world.main:
            checkpoint.save(self.folder / "checkpoints", self.step, groups, state)
        self.world.barrier()

    def _optimizer_state(self) -> dict[str, Any]:
        """Moments of AdamW by parameter name, gathered."""
        names = {id(p): k for k, p in self.parameters.items()}
        return {names[id(p)]: whole(dict(moments)) for p, moments in self.optimizer.state.items()}

    def _generators(self) -> dict[str, Tensor]:
        """States of the random generators of every process."""
        mine = {"objective": self.generator.get_state(), "cpu": torch.get_rng_state()}
        if self.world.device.type == "cuda":
            mine["cuda"] = torch.cuda.get_rng_state(self.world.device)
        found: dict[str, Tensor] = {}
        for rank, states in enumerate(self.world.gather(mine)):
            assert isinstance(states, dict)
            found |= {f"{rank}/{k}": t for k, t in states.items()}
        return found

    def _resume(self) -> None:
        """Continue from the newest checkpoint of the folder, if there is one."""
        newest = checkpoint.latest(self.folder / "checkpoints")
        if newest is None:
            if self.world.main:
                (self.folder / "metrics.jsonl").write_text("", encoding="utf-8")
            return
        tensors, state = checkpoint.load(newest, GROUPS)
        self._place({k: like(t, self.parameters[k]) for k, t in tensors["model"].items()})
        moments = checkpoint.unflatten(tensors["optimizer"], state["optimizer"])
        for name, entries in nested(moments, self.parameters).items():
            p = self.parameters[name]
            self.optimizer.state[p] = {
                k: v if v.ndim == 0 else like(v, p) for k, v in entries.items()
            }
        self.ema = {k: like(t, self.parameters[k]) for k, t in tensors["ema"].items()}
        self.best_weights = {k: like(t, self.parameters[k]) for k, t in tensors["best"].items()}
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self._sum.fill_(state["loss_sum"])
        self.log_bytes = state["log_bytes"]
        if state["world"] == self.world.size:
            rng = {
                k.split("/")[1]: t
                for k, t in tensors["rng"].items()
                if k.startswith(f"{self.world.rank}/")
            }
            self.generator.set_state(rng["objective"])
            torch.set_rng_state(rng["cpu"])
            if "cuda" in rng and self.world.device.type == "cuda":
                torch.cuda.set_rng_state(rng["cuda"], self.world.device)
        if self.world.main:
            self._cut_log()
        self.world.barrier()

    def _cut_log(self) -> None:
        """Remove the lines that were written after the checkpoint."""
        log = self.folder / "metrics.jsonl"
        if log.is_file() and log.stat().st_size >= self.log_bytes:
            os.truncate(log, self.log_bytes)
            return
        raise ResumeError(
            f"{log}: missing or shorter than the checkpoint says; start in a new folder"
        )

    def stop(self, signum: int) -> None:
        """Ask for the end, as a signal does."""
        self._signal = signum


@contextmanager
def stopping(ask: Callable[[int], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `ask` with their number instead of ending the program.

    Outside the main thread signals are left alone.
    """
    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, lambda n, _: ask(n))
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def rate_factor(step: int, steps: int, schedule: str, warmup: float) -> float:
    r"""Learning rate at `step`, as a share of the highest one.

    one_cycle  rises from 1/25 by half a cosine over `warmup` of the steps, falls by half a cosine
               to 1/250000 (Smith, Topin, Super-convergence, 2018, arXiv 1708.07120)
    cosine     rises linearly over `warmup`, falls by half a cosine to 0
    constant   rises linearly over `warmup`, then 1
    """
    rise = max(warmup * steps - 1.0, 1.0) if warmup else 0.0
    if schedule == "one_cycle":
        low, end = 1 / 25, 1 / 250000
        if step < rise:
            return 1.0 + (low - 1.0) * (1.0 + math.cos(math.pi * step / rise)) / 2
        done = (step - rise) / max(steps - 1 - rise, 1.0)
        return end + (1.0 - end) * (1.0 + math.cos(math.pi * min(done, 1.0))) / 2
    if step < rise:
        return (step + 1) / (rise + 1)
    if schedule == "constant":
        return 1.0
    return (1.0 + math.cos(math.pi * min((step - rise) / max(steps - rise, 1.0), 1.0))) / 2


def mix(seed: int, epoch: int) -> int:
    """A seed for the order of one epoch."""
    return (seed * 1_000_003 + epoch * 7_919 + 12_345) % (1 << 62)


def clean_name(name: str) -> str:
    """The parameter's name without the prefix of a wrapper."""
    return name.removeprefix("module.")


def whole(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Sharded tensors (DTensor) gathered; others as they are."""
    return {k: t.full_tensor() if hasattr(t, "full_tensor") else t for k, t in tensors.items()}


def like(value: Tensor, model: Tensor) -> Tensor:
    """`value` on the device of `model`, and sharded as it is."""
    value = value.to(model.device)
    if hasattr(model, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(value, model.device_mesh, model.placements)
    return value.clone()


def nested(tree: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The part of a state tree that belongs to each parameter."""
    return {name: tree[name] for name in names if name in tree}


def _cut(batch: Sample, parts: int) -> Iterator[Sample]:
    """The batch in equal parts along its first axis."""
    chunks = {k: t.tensor_split(parts) for k, t in batch.items()}  # type: ignore[attr-defined]
    for i in range(parts):
        yield {k: c[i] for k, c in chunks.items()}  # type: ignore[misc]
