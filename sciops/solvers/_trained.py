"""A trained preconditioner is a folder.

    model.safetensors   weights          config.yaml   preconditioner: {kind: .., settings}
    README.md           what it was trained on

The kind is the name of a file of `sciops.solvers` that defines a class `Trained`: its settings,
which build the module.  Reading a folder runs no code from it.
"""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sciops.core.config import Settings, read_yaml, validate
from sciops.core.errors import ConfigError, DataError, NotPositiveDefinite
from sciops.core.linear import LinearMap, as_linear_map
from sciops.core.resolve import own_names
from sciops.core.system import Projected, System
from sciops.data.definite import judge, sparse_map
from sciops.data.files import write_text
from sciops.data.weights import read_weights, require_shapes, write_weights

WEIGHTS, CONFIG = "model.safetensors", "config.yaml"


class TrainedModule(nn.Module, ABC):
    """A preconditioner with weights."""

    @abstractmethod
    def setup(self, A: LinearMap) -> LinearMap:
        """M with M r close to A^-1 r, of A's type; once a matrix."""

    @property
    @abstractmethod
    def origin(self) -> TrainedSettings:
        """What it was built from."""

    def save(
        self, folder: str | Path, card: str = "", more: Mapping[str, Any] | None = None
    ) -> Path:
        """Write weights, config.yaml and `card` as README.md; gives the folder.

        Parameters
        ----------
        folder
            Made if it is not there; files in it of the same names are replaced.
        card
            What it was trained on.
        more
            What else config.yaml is to tell.
        """
        import yaml

        folder, kind = Path(folder), kind_of(self.origin)
        tree = {"preconditioner": {"kind": kind, **self.origin.model_dump(mode="json")}}
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / CONFIG, yaml.safe_dump({**tree, **(more or {})}, sort_keys=False))
        write_text(folder / "README.md", card or f"# {kind}\n\nA preconditioner of sciops.\n")
        write_weights(folder / WEIGHTS, self.state_dict())
        return folder

    def aspreconditioner(self, matrix: Any, shape: Sequence[int] | None = None) -> Any:
        """M as a `scipy.sparse.linalg.LinearOperator`, for the solvers of scipy.

        Parameters
        ----------
        matrix
            What `as_linear_map` takes, symmetric positive definite.
        shape
            Of the grid of its unknowns, the last axis fastest.

        Raises
        ------
        NotPositiveDefinite
            If the entries of a sparse matrix say that it is not.
        ShapeError, SciopsError
            As `setup`.

        Notes
        -----
        `scipy.sparse.linalg.cg` needs an M that is symmetric positive definite itself, and does not
        ask: learned multigrid is, a predictor of directions is not.
        """
        from scipy.sparse import csr_array, issparse

        if not issparse(matrix):
            A = as_linear_map(matrix, shape, symmetric=True, positive=True)
            return self.setup(A).as_linear_operator()
        kind = matrix.dtype if matrix.dtype.kind == "f" else np.float64
        entries = csr_array(matrix, dtype=kind, copy=True)
        entries.sum_duplicates()
        entries.eliminate_zeros()
        verdict = judge(entries, float(np.finfo(kind).eps))
        if not verdict.symmetric or verdict.positive is False:
            raise NotPositiveDefinite(
                f"the matrix must be symmetric positive definite, and its entries say that it "
                f"is not: {verdict.reason}"
            )
        return self.setup(
            sparse_map(entries, shape, True, True, verdict.labels)
        ).as_linear_operator()


class TrainedSettings(Settings, ABC):
    """What a preconditioner is built from."""

    @abstractmethod
    def build(self) -> TrainedModule:
        """The module at its start."""


def settings_of(tree: Mapping[str, Any], source: str) -> TrainedSettings:
    """Settings out of `preconditioner: {kind: .., ..}`.

    Raises
    ------
    ConfigError
        If there is no such kind, or the settings do not fit it.
    """
    inner = tree.get("preconditioner")
    if not isinstance(inner, Mapping):
        raise ConfigError(f"{source}: expected preconditioner: {{kind: .., ..}}, got {inner!r}")
    kind = inner.get("kind")
    trained = _trained_class(kind) if kind in own_names("solvers") else None
    if trained is None:
        known = ", ".join(k for k in own_names("solvers") if _trained_class(k))
        raise ConfigError(f"{source}: no preconditioner {kind!r} can be trained; known: {known}")
    settings = {k: v for k, v in inner.items() if k != "kind"}
    return validate(trained, settings, f"{source}, preconditioner")


def _trained_class(kind: str) -> type[TrainedSettings] | None:
    """The class `Trained` of a solver's file."""
    found: type[TrainedSettings] | None = getattr(
        importlib.import_module(f"sciops.solvers.{kind}"), "Trained", None
    )
    return found


def kind_of(settings: TrainedSettings) -> str:
    """The name of the solver's file that `settings` belongs to."""
    return type(settings).__module__.rpartition(".")[2]


def load(folder: str | Path, kind: str | None = None) -> TrainedModule:
    """Read a preconditioner that was saved, on the CPU, in float32 and `eval()`.

    Raises
    ------
    DataError, ConfigError
        If a file is missing or damaged, the weights do not fit, or it is not of `kind`.
    """
    folder = Path(folder)
    missing = [f for f in (WEIGHTS, CONFIG) if not (folder / f).is_file()]
    if missing and _is_unfinished(folder):
        raise DataError(folder, "a training that has not ended; the same command continues it")
    if missing:
        raise DataError(folder, f"not a trained preconditioner: {', '.join(missing)} missing")
    settings = settings_of(read_yaml(folder / CONFIG), str(folder / CONFIG))
    found = kind_of(settings)
    if kind not in (None, found):
        raise ConfigError(f"{folder / CONFIG}: expected a preconditioner {kind!r}, got {found!r}")
    with torch.device("meta"):  # without memory: the settings may ask for any size
        require_shapes(folder / WEIGHTS, settings.build())
    module = settings.build()
    read_weights(folder / WEIGHTS, module)
    return module.eval()


def _is_unfinished(folder: Path) -> bool:
    """Whether a preconditioner is being trained there, or was stopped."""
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(run, dict) or not isinstance(run.get("settings"), dict):
        return False
    return run.get("status") == "running" and "preconditioner" in run["settings"]


def preconditioned(system: System, folder: Path | None, kind: str) -> System:
    """The system with the trained preconditioner of a folder, where it has none of its own."""
    if system.M is not None or folder is None:
        return system
    M = load(folder, kind).to(system.A.device).setup(system.A)
    kernel = system.A.kernel
    return replace(system, M=M if kernel is None else Projected(M, kernel))
