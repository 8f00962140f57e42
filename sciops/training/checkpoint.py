"""Checkpoints: the gathered state as safetensors and JSON, written whole or not at all.

    checkpoints/step-000000120/   model  optimizer  ema  best  rng  (.safetensors), state.json

A checkpoint is written into a temporary folder, flushed to disk and renamed; the newest folder
with a name of that form is therefore complete.  The one before is kept until the new one stands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from sciops.core.errors import ResumeError

Tensors = dict[str, Tensor]
NAME = re.compile(r"step-(\d{9})")


def save(folder: Path, step: int, tensors: Mapping[str, Tensors], state: Mapping[str, Any]) -> Path:
    """Write a checkpoint; `tensors` holds one group a file."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{step:09d}"
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, group in tensors.items():
        own = {k: t.detach().to("cpu", copy=True).contiguous() for k, t in group.items()}
        save_file(own, temporary / f"{name}.safetensors")
    (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for file in temporary.iterdir():
        _sync(file)
    _sync(temporary)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    _sync(folder)
    _clean(folder, keep=target)
    return target


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    found = [p for p in folder.glob("step-*") if NAME.fullmatch(p.name) and p.is_dir()]
    return max(found, key=lambda p: p.name, default=None)


def load(checkpoint: Path, groups: Sequence[str]) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """(tensors, state) of a checkpoint that holds these groups; never unpickles."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        tensors = {name: load_file(checkpoint / f"{name}.safetensors") for name in groups}
    except (OSError, ValueError, SafetensorError) as error:
        raise ResumeError(
            f"{checkpoint}: damaged checkpoint ({error}); remove it to continue from the one "
            f"before, or start in a new folder"
        ) from None
    return tensors, state


def flatten(tree: Mapping[str, Any], prefix: str = "") -> tuple[Tensors, dict[str, Any]]:
    """Split a nested state (an optimiser's) into tensors and plain values, by path."""
    tensors: Tensors = {}
    values: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}/{key}" if prefix else str(key)
        if isinstance(value, Tensor):
            tensors[path] = value
        elif isinstance(value, Mapping):
            inner_tensors, inner_values = flatten(value, path)
            tensors |= inner_tensors
            values |= inner_values
        else:
            values[path] = value
    return tensors, values


def unflatten(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for path, value in {**values, **tensors}.items():
        *parents, last = path.split("/")
        here = tree
        for part in parents:
            here = here.setdefault(part, {})
        here[last] = value
    return tree


def _sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clean(folder: Path, keep: Path) -> None:
    """Remove all but the newest two checkpoints, and what killed runs left."""
    whole = sorted(p for p in folder.glob("step-*") if NAME.fullmatch(p.name) and p != keep)
    for old in whole[:-1]:
        shutil.rmtree(old, ignore_errors=True)
    for rest in folder.glob(".step-*.tmp"):
        shutil.rmtree(rest, ignore_errors=True)
