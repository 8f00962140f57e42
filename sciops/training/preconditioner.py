"""Training a preconditioner from matrices alone, as a run in a folder that resumes exactly.

    config.yaml  README.md  model.safetensors      the trained preconditioner: `load` of its kind
    run.json     versions, seed, checksum, status, iterations on matrices that it has not seen
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
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn

from sciops.core.config import Settings
from sciops.core.errors import ConfigError, DataError, ResumeError
from sciops.data.files import file_sha256, write_text
from sciops.solvers import _trained
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.jacobi import Jacobi
from sciops.solvers.multigrid import Multigrid
from sciops.training import checkpoint
from sciops.training.directions import Objective, krylov, line_search
from sciops.training.loop import Diverged, Progress, Stopped, stopping
from sciops.training.matrices import File, Media
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
) -> list[float]:
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
    The loss of each step, before its update.

    Raises
    ------
    Diverged
        If the loss is NaN or infinite.
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
    return run.losses


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
        self.signal: int | None = None
        self.saved = time.monotonic()

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
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.clip)
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
        checkpoint.save(self.folder, len(self.losses), groups, {"optimizer": values})
        self.saved = time.monotonic()

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


def run_id(config: PreconditionerRun) -> str:
    """Content hash of a run: settings and the bytes of the matrix."""
    tree = flat(config.model_dump(mode="json", exclude={"training": {"checkpoint_seconds"}}))
    if isinstance(config.matrices, File):
        if not config.matrices.path.is_file():
            raise DataError(config.matrices.path, "no such file; give the path of a matrix")
        tree["matrices.path"] = file_sha256(config.matrices.path)
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def train(
    config: PreconditionerRun, folder: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Train, count iterations on unseen matrices, and write the folder.

    Returns
    -------
    The content of run.json.

    Raises
    ------
    ConfigError, DataError
        If the settings do not go together, or the matrix cannot be read.
    ResumeError
        If the folder holds another run.
    Diverged, Stopped
        See `minimise`.
    """
    settings = _trained.settings_of({"preconditioner": config.preconditioner}, "preconditioner")
    before = read_run(folder)
    if before and before.get("run_id") != run_id(config):
        raise ResumeError(f"{folder}: holds another run; choose another folder, or remove this one")
    if not before and folder.exists() and any(folder.iterdir()):
        raise ResumeError(f"{folder}: not empty and not a run folder; choose another one")
    if before.get("status") == "finished":
        return before
    torch.manual_seed(config.seed)
    model = settings.build()
    generator = torch.Generator().manual_seed(config.seed)
    objective = _objective(config, generator)
    folder.mkdir(parents=True, exist_ok=True)
    update_run(
        folder,
        run_id=run_id(config),
        status="running",
        seed=config.seed,
        threads=torch.get_num_threads(),
        versions=versions(),
        settings=config.model_dump(mode="json"),
        params=sum(p.numel() for p in model.parameters()),
    )
    started = time.monotonic()
    spent = float(before.get("train_seconds", 0.0))
    try:
        losses = minimise(model, objective, config.training, generator, folder, progress)
    finally:
        spent += time.monotonic() - started
        update_run(folder, train_seconds=spent)
    _write_log(folder, losses)
    counted = iterations(model, config)
    card = _card(config, losses, counted, spent)
    more = config.model_dump(mode="json", exclude={"preconditioner"})
    _trained.save(folder, settings, model.state_dict(), card, more)
    update_run(folder, status="finished", loss=_tail(losses), iterations=counted)
    return read_run(folder)


def _objective(config: PreconditionerRun, generator: torch.Generator) -> Objective:
    """The function to minimise."""
    if isinstance(config.objective, Krylov):
        s = config.objective
        return krylov(config.matrices.draw, s.batch_size, s.steps, s.window)
    A = config.matrices.draw(generator)
    if A.batch:
        raise ConfigError(
            f"objective line_search trains for one matrix: set matrices.stack to 1, got {A.batch}"
        )
    o = config.objective
    data = right_hand_sides(lanczos(A, o.ritz, generator), o.right_hand_sides, generator)
    return line_search(A.to(torch.float32), data, o.batch_size)


def iterations(model: nn.Module, config: PreconditionerRun) -> dict[str, list[int]]:
    """Iterations to a relative residual of 1e-6 on matrices and white noise of another seed.

    The trained preconditioner goes with conjugate gradients where it is symmetric positive
    definite, else with conjugate directions; beside it conjugate gradients with `jacobi` and, on
    grids, `multigrid`.
    """
    generator = torch.Generator().manual_seed(UNSEEN + config.seed)
    methods: dict[str, Any] = {"trained": model, "jacobi": Jacobi()}
    if isinstance(config.matrices, Media):
        methods["multigrid"] = Multigrid()
    counted: dict[str, list[int]] = {name: [] for name in methods}
    for _ in range(config.unseen):
        A = config.matrices.draw(generator)
        b = torch.randn(*A.batch, *A.shape, dtype=A.dtype, generator=generator)
        for name, method in methods.items():
            M = method.setup(A)
            fits = M.symmetric and M.positive
            solver = CG(maxiter=LIMIT) if fits else ConjugateDirections(window=2, maxiter=LIMIT)
            counted[name] += solver.solve(A, b, M=M).iterations.flatten().tolist()
    return counted


def _write_log(folder: Path, losses: list[float]) -> None:
    """The loss of every step, in metrics.jsonl."""
    lines = (json.dumps({"step": k + 1, "loss": v}) for k, v in enumerate(losses))
    write_text(folder / "metrics.jsonl", "".join(f"{line}\n" for line in lines))


def _tail(losses: list[float]) -> float:
    """Mean loss of the last tenth of the steps."""
    last = losses[-max(len(losses) // 10, 1) :]
    return sum(last) / len(last)


def _card(
    config: PreconditionerRun, losses: list[float], counted: dict[str, list[int]], seconds: float
) -> str:
    """README.md of the folder."""
    kind = config.preconditioner["kind"]
    found = [
        f"- {name}: {min(n)} - {max(n)}, mean {sum(n) / len(n):.1f}"
        for name, n in counted.items()
        if n
    ]
    described = ", ".join(f"{k} {v}" for k, v in config.matrices.model_dump(mode="json").items())
    return (
        f"# {kind}\n\nTrained on matrices: {described}.\n\n{config.training.steps} steps of the "
        f"objective {config.objective.kind}, {seconds:.0f} s, seed {config.seed}; mean loss of the "
        f"last tenth {_tail(losses):.4g}.\n\nIterations to a relative residual of 1e-6 on "
        f"matrices it has not seen ({LIMIT} at most):\n\n" + "\n".join(found) + "\n\n"
        f"```python\nfrom sciops.solvers.{kind} import load\n"
        f'M = load("this folder").setup(A)\n```\n'
    )
