"""Training a preconditioner from matrices alone, as a run in a folder that resumes exactly.

    config.yaml  README.md  model.safetensors      the trained preconditioner: `sciops.solvers.load`
    run.json     versions, settings, status, seconds, iterations on other matrices
    metrics.jsonl  checkpoints/

The folder resumes as `descent.py` says.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn

from sciops.core.config import Settings
from sciops.core.errors import ConfigError, ResumeError, SciopsError
from sciops.core.linear import LinearMap
from sciops.core.solver import Status
from sciops.data.files import write_text
from sciops.solvers import _trained
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.jacobi import Jacobi
from sciops.solvers.multigrid import Multigrid
from sciops.training.descent import Descent, minimise
from sciops.training.directions import Objective, krylov, line_search
from sciops.training.loop import Progress
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


class PreconditionerRun(Settings):
    """Everything that decides the result of a run."""

    preconditioner: dict[str, Any]  # {kind: .., settings}
    matrices: Annotated[Media | File, Field(discriminator="kind")] = Media()
    objective: Annotated[Krylov | LineSearch, Field(discriminator="kind")] = Krylov()
    training: Descent = Descent()
    seed: int = 0
    unseen: int = Field(4, ge=0)  # draws of matrices to count iterations on


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
    full = {"kind": _trained.kind_of(settings), **settings.model_dump(mode="json")}
    config = config.model_copy(update={"preconditioner": full})
    key, before = run_id(config), read_run(folder)
    if before and "preconditioner" not in (before.get("settings") or {}):
        raise ResumeError(f"{folder}: holds the run of an operator; choose another folder")
    if before and before.get("run_id") != key:
        old, new = flat(before.get("settings", {})), flat(config.model_dump(mode="json"))
        changed = [
            f"{k}: {old.get(k)!r} there, {new.get(k)!r} now"
            for k in sorted({*old, *new})
            if old.get(k) != new.get(k)
        ]
        what = "; ".join(changed[:6]) or "the matrix is another one"
        raise ResumeError(
            f"{folder}: holds another run ({what}); choose another folder, or remove this one"
        )
    if not before and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResumeError(f"{folder}: not empty and not a run folder; choose another one")
    if before.get("status") == "finished" and (folder / _trained.WEIGHTS).is_file():
        return before
    torch.manual_seed(config.seed)
    model = settings.build()
    draw = config.matrices.source()
    generator = torch.Generator().manual_seed(config.seed)
    _require_fit(model, draw(torch.Generator().manual_seed(config.seed)))
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
    model.save(folder, card, more)
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


def _require_fit(model: _trained.TrainedModule, A: LinearMap) -> None:
    """SciopsError if such matrices cannot train the module; before anything is written."""
    ones = torch.ones(*A.batch, *A.shape, dtype=A.dtype, device=A.device)
    if not model.setup(A).matvec(ones).requires_grad:
        raise SciopsError(
            f"what this preconditioner does to {A} depends on none of its weights: such matrices "
            f"are too small to be coarsened; train on larger ones"
        )


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
        '```python\nfrom sciops.solvers import load\n\nM = load("this folder").setup(A)\n```\n'
    )
