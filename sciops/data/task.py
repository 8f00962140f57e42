"""The data of one run: train, valid and test windows, with their split and checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import field_validator

from sciops.core.config import Settings
from sciops.core.errors import ConfigError, DataError, NotFound, did_you_mean
from sciops.core.schema import Schema
from sciops.data.files import checksum, sidecar
from sciops.data.layout import Layout
from sciops.data.mapping import Mapping as ArrayMapping
from sciops.data.mapping import description_hash, mapping_of
from sciops.data.normalise import write_statistics
from sciops.data.open import open_layout
from sciops.data.split import Split, split_of_format, split_samples
from sciops.data.windows import Window, Windows


class DataConfig(Settings):
    """Which files, which split, which windows.

    Without `train` and `tests` the data set at `path` is split into three parts: by its own split
    where it has one (``splits.json`` beside it, folders of The Well), else by seeded random shares.
    With `tests` the file `train` is split into train and valid only.
    """

    path: str  # file or folder
    format: str | None = None  # name of the format; None: recognised by structure
    mapping: ArrayMapping | None = None  # what the arrays mean, or the path of a YAML that says so
    train: str | None = None  # file inside the folder `path`
    tests: dict[str, str] = {}  # name of a test set -> file inside the folder `path`
    valid: float = 0.1  # share of the trajectories
    test: float = 0.1  # share of the trajectories, where no test files are named
    split_seed: int = 0
    window: Window = Window()
    rollout: int = 1  # frames predicted at test, each from the one before
    test_every: int = 1  # frames between the beginnings of two test windows

    @field_validator("mapping", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return mapping_of(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class TaskData:
    """Windows of every part, and what identifies them."""

    train: Windows
    valid: Windows
    tests: dict[str, Windows]
    split: Split
    checksums: dict[str, str]  # name of the file or folder -> SHA-256

    @property
    def schema(self) -> Schema:
        """The task of the training part."""
        return self.train.schema


def load(config: DataConfig) -> TaskData:
    """Open, split and check the data of a run; every value that will be used is finite.

    Raises
    ------
    DataError, SchemaError, NotFound, ConfigError
        If a file is missing or damaged, a variable unknown, a value not finite, or the test data
        are of another task than the training data.
    """
    root = Path(config.path)
    layout = open_layout(_inside(root, config.train), config.format, config.mapping)
    split = _split(config, layout, root)
    train = Windows(layout, split.parts["train"], config.window)
    valid = Windows(layout, split.parts["valid"], config.window)
    at_test = config.window.model_copy(
        update={"horizon": config.rollout, "every": config.test_every}
    )
    checksums = {Path(_inside(root, config.train)).name: checksum(layout)}
    if layout.format == "mapped":  # other words for the same bytes make other numbers
        checksums["mapping"] = description_hash(layout)
    tests = {}
    if config.tests:
        for name, file in config.tests.items():
            other = open_layout(_inside(root, file), config.format, config.mapping)
            tests[name] = Windows(other, None, at_test)
            checksums[file] = checksum(other)
    else:
        tests["test"] = Windows(layout, split.parts["test"], at_test)
    _same_task(train.schema, tests)
    train.statistics()  # reads every training value, and refuses NaN
    for windows in (valid, *tests.values()):
        windows.check_finite()
    return TaskData(train, valid, tests, split, checksums)


def write_sidecars(path: str | Path, shares: Mapping[str, float], seed: int) -> Split:
    """Write ``splits.json`` and, fitted on its part ``train``, ``stats.json`` beside a data set.

    Parameters
    ----------
    path
        A data set of sciops.
    shares
        Part name -> share of the trajectories.
    seed
        Of the split.
    """
    path = Path(path)
    layout = open_layout(path)
    split = split_samples(layout.n_samples, shares, seed)
    windows = Windows(layout, split.parts["train"])
    write_statistics(sidecar(path, "stats"), windows.statistics(), split.hash)
    split.write(sidecar(path, "splits"))
    return split


def _inside(root: Path, file: str | None) -> Path:
    if file is None:
        return root
    if not root.is_dir():
        raise DataError(
            root,
            f"expected the folder that holds {file!r}"
            if root.exists()
            else f"no such folder; data.path names the one that holds {file!r}",
        )
    if not (root / file).exists():
        here = sorted(p.name for p in root.iterdir())
        raise DataError(root / file, f"no such file in the folder.{did_you_mean(file, here)}")
    return root / file


def _split(config: DataConfig, layout: Layout, root: Path) -> Split:
    """The data set's own split, else a random one; test files leave all of `train` to training."""
    for name in ("valid", "test"):
        if not 0.0 < getattr(config, name) < 1.0:
            raise ConfigError(
                f"data.{name}: expected a share between 0 and 1, got {getattr(config, name)}"
            )
    if config.tests:
        shares = {"train": 1.0 - config.valid, "valid": config.valid}
        return split_samples(layout.n_samples, shares, config.split_seed)
    beside = sidecar(_inside(root, config.train), "splits")
    own = Split.read(beside) if beside.is_file() else split_of_format(layout)
    if own is not None:
        missing = {"train", "valid", "test"} - set(own.parts)
        if missing:
            raise DataError(
                root, f"its own split has no part {sorted(missing)}; name files with data.tests"
            )
        if max(max(ids) for ids in own.parts.values()) >= layout.n_samples:
            raise DataError(
                beside, f"the split names samples beyond the {layout.n_samples} of the data"
            )
        return own
    shares = {"train": 1.0 - config.valid - config.test, "valid": config.valid, "test": config.test}
    return split_samples(layout.n_samples, shares, config.split_seed)


def _same_task(schema: Schema, tests: dict[str, Windows]) -> None:
    for name, windows in tests.items():
        for role in ("inputs", "targets", "params"):
            ours = [(v.name, v.components) for v in getattr(schema, role)]
            theirs = [(v.name, v.components) for v in getattr(windows.schema, role)]
            if ours != theirs:
                raise NotFound(
                    f"the test set {name!r} has the {role} {theirs}, the training set {ours}"
                )
