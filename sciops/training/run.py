"""One run: data, operator, training, seed -> a folder that says everything about it.

config.yaml    resolved settings             splits.json, stats.json   of the training data
run.json       versions, seed, device, checksums, git state, status
metrics.jsonl  one line an epoch             checkpoints/, model/
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import field_validator

from sciops import metrics
from sciops.core.config import Settings, parse_yaml, plug_in_field, to_yaml
from sciops.core.errors import ResumeError
from sciops.core.operator import Operator
from sciops.data.files import clear_leftovers, write_text
from sciops.data.normalise import write_statistics
from sciops.data.task import DataConfig, TaskData
from sciops.operators._trained import save
from sciops.training.distributed import World
from sciops.training.loop import Loop, Progress, Training, known_name, whole


class RunConfig(Settings):
    """Everything that decides the result of a run."""

    data: DataConfig
    operator: plug_in_field("operators")  # type: ignore[valid-type]
    training: Training = Training()
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    metrics: tuple[str, ...] = ("relative_l2", "rmse", "nrmse", "vrmse", "max_error")

    @field_validator("metrics")
    @classmethod
    def _exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(known_name(metrics.find, name) for name in names)


# Settings that change how a run proceeds, not what comes out of it.
FREE = {"device", "training.workers", "training.checkpoint_seconds", "data.path"}


def run_id(config: RunConfig, data: TaskData) -> str:
    """Content hash of a run: settings, bytes of the data, split."""
    tree = {
        "settings": {
            k: v for k, v in flat(config.model_dump(mode="json")).items() if k not in FREE
        },
        "data": sorted(data.checksums.values()),
        "split": data.split.hash,
    }
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as ``a.b`` -> value."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return out


def read_run(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run folder; empty where there is none."""
    path = folder / "run.json"
    if not path.is_file():
        return {}
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResumeError(f"{path}: damaged ({error}); start in a new folder") from None
    return tree if isinstance(tree, dict) else {}


def update_run(folder: Path, **entries: Any) -> None:
    """Write entries into ``run.json``."""
    tree = {**read_run(folder), **entries}
    write_text(folder / "run.json", json.dumps(tree, indent=1))


def same_run(folder: Path, config: RunConfig, data: TaskData) -> bool:
    """Whether the folder holds this run already; ResumeError if it holds another one."""
    before = read_run(folder)
    if not before:
        if folder.exists() and (
            not folder.is_dir() or {p.name for p in folder.iterdir()} - {"error.txt"}
        ):
            raise ResumeError(f"{folder}: not empty and not a run folder; choose another one")
        return False
    if before.get("run_id") == run_id(config, data):
        return True
    if not (folder / "config.yaml").is_file():
        raise ResumeError(f"{folder}: holds a run of another kind; choose another folder")
    old = flat(parse_yaml((folder / "config.yaml").read_text(encoding="utf-8"), str(folder)))
    new = flat(config.model_dump(mode="json"))
    changed = [
        f"{k}: {old.get(k)!r} there, {new.get(k)!r} now"
        for k in sorted({*old, *new})
        if old.get(k) != new.get(k) and k not in FREE
    ]
    what = "; ".join(changed[:6]) or "the data or their split are others"
    raise ResumeError(
        f"{folder}: holds another run ({what}). Choose another folder, or remove this one"
    )


def begin(folder: Path, config: RunConfig, data: TaskData, world: World) -> None:
    """Make the folder of a new run and write what is known before training."""
    if not world.main:
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", to_yaml(config))
    data.split.write(folder / "splits.json")
    write_statistics(folder / "stats.json", data.train.statistics(), data.split.hash)
    update_run(
        folder,
        run_id=run_id(config, data),
        status="running",
        operator=config.operator.kind,
        seed=config.seed,
        device=str(world.device),
        device_name=device_name(world.device),
        threads=torch.get_num_threads(),
        processes=world.size,
        data=data.schema.name,
        checksums=data.checksums,
        split={
            "rule": data.split.rule,
            "hash": data.split.hash,
            "sizes": {k: len(v) for k, v in data.split.parts.items()},
        },
        versions=versions(),
        git=git_state(),
        command=" ".join(["sciops", *sys.argv[1:]]),
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )


def train(
    config: RunConfig, data: TaskData, folder: Path, world: World, progress: Progress | None = None
) -> Operator:
    """Build, fit and train the operator of a run; continues where the folder left off.

    Returns
    -------
    Operator
        With the weights that were best on valid; they are also in ``folder/model``.

    Raises
    ------
    ResumeError
        If the folder holds another run.
    Diverged, Stopped
        See `Loop.run`.
    """
    known = same_run(folder, config, data)
    world.barrier()  # all have looked before the first one writes
    torch.manual_seed(config.seed)
    operator: Operator = config.operator.build(data.schema).fit(data.train).to(world.device)
    if not known:  # only now: an operator that does not fit the data leaves nothing behind
        begin(folder, config, data, world)
    elif world.main:
        clear_leftovers(folder)
    world.barrier()
    torch.manual_seed(config.seed + world.rank)
    summary: dict[str, Any] = {"train_seconds": 0.0, "steps": 0}
    weights: dict[str, Any] = {}
    if any(p.requires_grad for p in operator.parameters()):
        loop = Loop(
            operator, data.train, data.valid, config.training, config.seed, folder, world, progress
        )
        summary = loop.run()
        weights = whole(loop.parameters)
    if world.main:
        save(folder / "model", operator, card(config, data, summary), weights)
        count = sum(p.numel() * (2 if p.is_complex() else 1) for p in operator.parameters())
        update_run(folder, training=summary, params=count)
    world.barrier()
    return operator


def card(config: RunConfig, data: TaskData, summary: dict[str, Any]) -> str:
    """The model card, README.md of the model's folder."""
    schema = data.schema
    names = ", ".join(f"{v.name} {v.domain.shape if v.domain else ''}" for v in schema.inputs)
    targets = ", ".join(f"{v.name} {v.domain.shape if v.domain else ''}" for v in schema.targets)
    best = (
        f"{config.training.select} {summary['value']:.4g} at epoch {summary['epoch']}"
        if ("value" in summary)
        else "not trained by gradient"
    )
    checks = "\n".join(f"- {k}: sha256 {v}" for k, v in data.checksums.items())
    return (
        f"# {config.operator.kind} on {schema.name}\n\n"
        f"Inputs: {names}\n\nTargets: {targets}\n\n"
        f"Best on valid: {best}. Seed {config.seed}, split {data.split.hash[:16]} "
        f"({data.split.rule}).\n\nData:\n{checks}\n\n"
        f'```python\nimport sciops\nmodel = sciops.load("this folder")\n'
        f'fields = model.predict(sciops.open_dataset("your data"))\n```\n'
    )


def versions(*more: str) -> dict[str, str]:
    """Versions of what computes the numbers, and of `more` packages."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("sciops", "torch", "numpy", "scipy", "h5py", "xarray", "neuraloperator", *more):
        try:
            found[package] = version(package)
        except ModuleNotFoundError:
            found[package] = "not installed"
    return found


def device_name(device: torch.device) -> str:
    """Name of the GPU, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_state() -> dict[str, Any]:
    """Commit of the working folder and whether it has changes; empty outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(git("status", "--porcelain"))} if commit else {}
    except (OSError, subprocess.TimeoutExpired):
        return {}
