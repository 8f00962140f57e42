"""Training a preconditioner from matrices alone, as a run in a folder that resumes exactly.

    config.yaml  README.md  model.safetensors      the trained preconditioner: `load` of its kind
    run.json     versions, settings, status, seconds, iterations on other matrices
    metrics.jsonl  checkpoints/

Adam, the learning rate falling to zero by half a cosine.  All that decides the next step is in a
checkpoint, so that a run that was killed ends with the same bits as one that was not (on the CPU,
with one number of threads).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn

from sciops.core.config import Settings
from sciops.core.errors import ConfigError, ResumeError
from sciops.core.solver import Status
from sciops.data.files import write_text
from sciops.solvers import _trained
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.jacobi import Jacobi
from sciops.solvers.multigrid import Multigrid
from sciops.training import checkpoint
from sciops.training.directions import Objective, krylov, line_search
from sciops.training.loop import Diverged, Progress, Stopped, stopping
from sciops.training.matrices import Draw, File, Media
from sciops.training.ritz import lanczos, right_hand_sides
from sciops.training.run import flat, read_run, update_run, versions

UNSEEN = 1_000_003  # added to the seed for matrices that training does not see
LIMIT = 2000  # iterations


class Krylov(Settings):
    """`directions.krylov_loss` on white-noise errors, on new matrices at every step."""

    kind: Literal["krylov"] = "krylov"
    steps: PositiveInt = 6  # of conjugate directions
    window: PositiveInt = 1
    batch_size: PositiveInt = 1  # errors a matrix


class LineSearch(Settings):
    """`directions.line_search_loss` on right-hand sides made of Ritz vectors of one matrix."""

    kind: Literal["line_search"] = "line_search"
    ritz: PositiveInt = 1000  # Ritz vectors (published: 10,000)
    right_hand_sides: PositiveInt = 2000  # (published: 20,000)
    batch_size: PositiveInt = 10


class Descent(Settings):
    """Steps of Adam."""

    steps: PositiveInt = 1000
    lr: float = Field(1e-3, gt=0)  # at the start
    clip: float | None = Field(1.0, gt=0)  # largest norm of the gradient
    checkpoint_seconds: float = Field(30.0, gt=0)  # between two checkpoints


class PreconditionerRun(Settings):
    """Everything that decides the result of a run."""

    preconditioner: dict[str, Any]  # {kind: .., settings}
    matrices: Annotated[Media | File, Field(discriminator="kind")] = Media()
    objective: Annotated[Krylov | LineSearch, Field(discriminator="kind")] = Krylov()
    training: Descent = Descent()
    seed: int = 0
    unseen: int = Field(4, ge=0)  # draws of matrices to count iterations on


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
        After SIGTERM or SIGINT, when a checkpoint stands.
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
                raise Stopped(run.signal, len(run.losses))
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
        tensors, state = checkpoint.load(newest)
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


def run_id(config: PreconditionerRun) -> str:
    """Content hash of a run: settings and the bytes of the matrix."""
    tree = flat(config.model_dump(mode="json", exclude={"training": {"checkpoint_seconds"}}))
    if isinstance(config.matrices, File):
        tree["matrices.path"] = config.matrices.checksum()
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def train(
    config: PreconditionerRun, folder: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Train, count iterations on other matrices, and write the folder.

    Returns
    -------
    The content of run.json.

    Raises
    ------
    ConfigError, DataError, SciopsError
        If the settings do not go together, or the matrix cannot be read or does not fit.
    ResumeError
        If the folder holds another run.
    Diverged, Stopped
        See `minimise`.
    """
    settings = _trained.settings_of({"preconditioner": config.preconditioner}, "preconditioner")
    key, before = run_id(config), read_run(folder)
    if before and before.get("run_id") != key:
        raise ResumeError(f"{folder}: holds another run; choose another folder, or remove this one")
    if not before and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResumeError(f"{folder}: not empty and not a run folder; choose another one")
    if before.get("status") == "finished":
        return before
    torch.manual_seed(config.seed)
    model = settings.build()
    draw = config.matrices.source()
    generator = torch.Generator().manual_seed(config.seed)
    with torch.no_grad():
        model.setup(draw(torch.Generator().manual_seed(config.seed)))  # whether it fits
    started = time.monotonic()
    objective = _objective(config.objective, draw, generator)
    prepared = time.monotonic() - started
    folder.mkdir(parents=True, exist_ok=True)
    update_run(
        folder,
        run_id=key,
        status="running",
        seed=config.seed,
        threads=torch.get_num_threads(),
        versions=versions(),
        settings=config.model_dump(mode="json"),
        params=sum(p.numel() for p in model.parameters()),
    )
    losses, seconds = minimise(model, objective, config.training, generator, folder, progress)
    _write_log(folder, losses)
    counted = iterations(model, config, draw)
    card = _card(config, losses, counted, prepared + seconds)
    more = config.model_dump(mode="json", exclude={"preconditioner"})
    _trained.save(folder, settings, model.state_dict(), card, more)
    update_run(
        folder,
        status="finished",
        train_seconds=prepared + seconds,
        loss=_tail(losses),
        iterations=counted,
    )
    return read_run(folder)


def _objective(settings: Krylov | LineSearch, draw: Draw, generator: torch.Generator) -> Objective:
    """The function to minimise."""
    if isinstance(settings, Krylov):
        return krylov(draw, settings.batch_size, settings.steps, settings.window)
    A = draw(generator)
    if A.batch:
        raise ConfigError(
            f"objective line_search trains for one matrix: set matrices.stack to 1, got {A.batch}"
        )
    ritz = lanczos(A, settings.ritz, generator)
    data = right_hand_sides(ritz, settings.right_hand_sides, generator)
    return line_search(A.to(torch.float32), data, settings.batch_size)


def iterations(
    model: nn.Module, config: PreconditionerRun, draw: Draw
) -> dict[str, list[int | None]]:
    """Iterations to a relative residual of 1e-6 on matrices and white noise of another seed.

    None stands for a system that was not solved in `LIMIT` iterations.  The trained preconditioner
    goes with conjugate gradients where it is symmetric positive definite, else with conjugate
    directions; beside it conjugate gradients with `jacobi` and, on grids, `multigrid`.
    """
    generator = torch.Generator().manual_seed(UNSEEN + config.seed)
    methods: dict[str, Any] = {"trained": model, "jacobi": Jacobi()}
    if isinstance(config.matrices, Media):
        methods["multigrid"] = Multigrid()
    counted: dict[str, list[int | None]] = {name: [] for name in methods}
    for _ in range(config.unseen):
        A = draw(generator)
        b = torch.randn(*A.batch, *A.shape, dtype=A.dtype, generator=generator)
        for name, method in methods.items():
            M = method.setup(A)
            fits = M.symmetric and M.positive
            solver = CG(maxiter=LIMIT) if fits else ConjugateDirections(window=2, maxiter=LIMIT)
            solution = solver.solve(A, b, M=M)
            counts = solution.iterations.flatten().tolist()
            counted[name] += [
                n if status is Status.CONVERGED else None
                for n, status in zip(counts, solution.statuses, strict=True)
            ]
    return counted


def described(counts: Sequence[int | None]) -> tuple[str, str, str, str]:
    """(least, mean, most, how many were not solved) of what `iterations` gives."""
    known = [n for n in counts if n is not None]
    failed = f"{len(counts) - len(known)} of {len(counts)}" if len(known) < len(counts) else "-"
    if not known:
        return "-", "-", "-", failed
    return str(min(known)), f"{sum(known) / len(known):.1f}", str(max(known)), failed


def unseen(config: PreconditionerRun) -> str:
    """On what the iterations were counted, for people."""
    if config.matrices.fixed:
        return "the matrix that it was trained on, other right-hand sides"
    return "matrices that it has not seen"


def _write_log(folder: Path, losses: list[float]) -> None:
    """The loss of every step, in metrics.jsonl."""
    lines = (json.dumps({"step": k + 1, "loss": v}) for k, v in enumerate(losses))
    write_text(folder / "metrics.jsonl", "".join(f"{line}\n" for line in lines))


def _tail(losses: list[float]) -> float:
    """Mean loss of the last tenth of the steps."""
    last = losses[-max(len(losses) // 10, 1) :]
    return sum(last) / len(last)


def _card(
    config: PreconditionerRun,
    losses: list[float],
    counted: Mapping[str, Sequence[int | None]],
    seconds: float,
) -> str:
    """README.md of the folder."""
    kind = config.preconditioner["kind"]
    lines = ["| | least | mean | most | not solved |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {' | '.join(described(n))} |" for name, n in counted.items()]
    about = ", ".join(f"{k} {v}" for k, v in config.matrices.model_dump(mode="json").items())
    return (
        f"# {kind}\n\nTrained on matrices: {about}.\n\n{config.training.steps} steps of the "
        f"objective {config.objective.kind}, {seconds:.0f} s, seed {config.seed}; mean loss of the "
        f"last tenth {_tail(losses):.4g}.\n\nIterations to a relative residual of 1e-6 on "
        f"{unseen(config)} ({LIMIT} at most):\n\n" + "\n".join(lines) + "\n\n"
        f"```python\nfrom sciops.solvers.{kind} import load\n"
        f'M = load("this folder").setup(A)\n```\n'
    )
