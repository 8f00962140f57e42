"""APEBench's scraped scenarios: arrays of trajectories beside the JSON of their scenario.

    NAME.json        {"name": .., "info": fields of the scenario}
    NAME_train.npy   (n, T + 1, C, *space), the initial state first
    NAME_test.npy    likewise, with another horizon

Open the JSON file or the folder for both arrays, which are the subsets train and test, or one of
the arrays.  Space is periodic, points are i L / n along x, y, z.  L and the time step stand in the
JSON of the scenarios in physical units (``domain_extent``, ``dt``); the normalised scenarios have
neither, so L = 1 is taken and times are unknown.  Names hold spaces, commas and ``=``.
Source: Koehler et al., APEBench, NeurIPS 2024 (arXiv 2411.00180); apebench/_scraper.py and
_base_scenario.py of tum-pbs/apebench.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.containers import npy
from sciops.data.formats._structure import as_number, structure
from sciops.data.layout import Format, Layout, Part, Stored

SUBSETS = ("train", "test")
SPACE = ("x", "y", "z")
LARGEST = 1 << 20  # bytes of the JSON file
NORMALISED = "the scenario has no domain_extent; the normalised length 1 is taken"
UNTIMED = "the scenario has no dt; times are unknown"
SETTINGS = {  # of the benchmark, the optimiser and the numerical method: no physical parameters
    "num_spatial_dims", "num_points", "num_channels", "num_warmup_steps", "num_train_samples",
    "train_temporal_horizon", "train_seed", "num_test_samples", "test_temporal_horizon",
    "test_seed", "batch_size", "num_trjs_returned", "record_loss_every", "vlim", "num_substeps",
    "coarse_proportion", "order", "dealiasing_fraction", "num_circle_points", "circle_radius",
    "domain_extent", "dt",
}  # fmt: skip


class APEBench(Format):
    """Arrays saved by ``apebench.scraper``."""

    title = "APEBench scrape (.npy and .json)"
    source = "tum-pbs/apebench, apebench/_scraper.py; arXiv 2411.00180"
    verified = "1-D Burgers, test array, from the scraper"

    def recognises(self, path: Path) -> str | None:
        """A JSON file with the fields of a scenario beside arrays _train.npy, _test.npy."""
        scenarios = _scenarios(path)
        if not scenarios:
            return None
        names = ", ".join(f"_{k}.npy" for files in scenarios.values() for k in files)
        return f"the JSON of an APEBench scenario beside {names}"

    def layout(self, path: Path) -> Layout:
        """The layout of one scenario."""
        scenarios = _scenarios(path)
        if len(scenarios) != 1:
            raise DataError(
                path,
                f"expected one scenario (NAME.json beside NAME_train.npy or NAME_test.npy), got "
                f"{len(scenarios)}; open one of {[p.name for p in scenarios]}"
                if scenarios
                else "expected NAME.json beside NAME_train.npy or NAME_test.npy",
            )
        ((description, files),) = scenarios.items()
        with structure(path):
            return _layout(description, files, self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two and one trajectories of three states of two channels on 4 x 4 points."""
        folder = path / "tiny"
        folder.mkdir()
        info = {"num_spatial_dims": 2, "num_points": 4, "num_channels": 2, "domain_extent": 2.5,
                "dt": 0.5, "diffusivity": 0.01, "gammas": [0.0, 1.5]}  # fmt: skip
        name = "2d_tiny__a=1, b=2"
        (folder / f"{name}.json").write_text(json.dumps({"name": name, "info": info}))
        for subset, n, first in zip(SUBSETS, (2, 1), (0, 192), strict=True):
            values = first + np.arange(n * 96, dtype=np.float32).reshape(n, 3, 2, 4, 4)
            np.save(folder / f"{name}_{subset}.npy", values)
        return folder


def _scenarios(path: Path) -> dict[Path, dict[str, Path]]:
    """JSON file -> subset -> array, for a folder, a JSON file or an array."""
    if path.is_dir():
        candidates = sorted(p for p in path.iterdir() if p.suffix == ".json")
    elif npy.is_container(path):
        stems = [path.stem.removesuffix(f"_{s}") for s in SUBSETS if path.stem.endswith(f"_{s}")]
        candidates = [path.with_name(f"{stem}.json") for stem in stems]
    else:
        candidates = [path]
    found = {}
    for candidate in candidates:
        files = {s: candidate.with_name(f"{candidate.stem}_{s}.npy") for s in SUBSETS}
        files = {s: f for s, f in files.items() if f.is_file()}
        if path in files.values():
            files = {s: f for s, f in files.items() if f == path}
        if files and _info(candidate) is not None:
            found[candidate] = files
    return found


def _info(path: Path) -> Mapping[str, Any] | None:
    """The fields of the scenario that a JSON file describes; None where it describes none."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    info = tree.get("info") if isinstance(tree, dict) else None
    known = isinstance(info, dict) and {"num_spatial_dims", "num_points", "num_channels"} <= set(
        info
    )
    return info if known else None


def _layout(description: Path, files: Mapping[str, Path], reason: str) -> Layout:
    info = _info(description)
    assert info is not None
    dimension, n_points, channels = (
        _count(description, info, k) for k in ("num_spatial_dims", "num_points", "num_channels")
    )
    if dimension > len(SPACE):
        raise DataError(description, f"num_spatial_dims must be 1, 2 or 3, got {dimension}")
    length, dt = (_positive(description, info, k) for k in ("domain_extent", "dt"))
    shape = (channels, *(n_points,) * dimension)
    arrays = {s: _stored(f, shape, SPACE[:dimension]) for s, f in files.items()}
    axes = (Axis.uniform(a, n_points, 0.0, length or 1.0, "periodic") for a in SPACE[:dimension])
    u = Variable(
        "u", Grid(tuple(axes)), components=(channels,) if channels > 1 else (), time_varying=True
    )
    params = _params(info)
    schema = Schema((u, *(Variable(k, role="param") for k in params)), dt=dt, name=description.stem)
    notes = [*([] if length else [NORMALISED]), *([] if dt else [UNTIMED])]
    return Layout(
        schema,
        tuple(_part(s, a, dt, params) for s, a in arrays.items()),
        "apebench",
        reason,
        tuple(notes),
        {"scenario": json.dumps(info)},
        dict.fromkeys(params, "JSON of the scenario"),
    )


def _count(path: Path, info: Mapping[str, Any], key: str) -> int:
    value = as_number(info[key])
    if value is None or value != int(value) or not 1 <= value < 1 << 24:
        raise DataError(path, f"info.{key} must be a positive whole number, got {info[key]!r:.60}")
    return int(value)


def _positive(path: Path, info: Mapping[str, Any], key: str) -> float | None:
    if key not in info:
        return None
    value = as_number(info[key])
    if value is None or value <= 0:
        raise DataError(path, f"info.{key} must be a positive number, got {info[key]!r:.60}")
    return value


def _stored(path: Path, shape: tuple[int, ...], space: tuple[str, ...]) -> Stored:
    """(n, T + 1, C, *space), checked against the JSON."""
    found = npy.arrays(path)[npy.KEY]
    if found.shape[2:] != shape or 0 in found.shape or np.dtype(found.dtype).kind != "f":
        raise DataError(
            path,
            f"must be real (n, T + 1, {', '.join(map(str, shape))}) after its JSON file, got "
            f"{found.dtype} {found.shape}",
        )
    return replace(found, axes=("sample", "time", "component" if shape[0] > 1 else "", *space))


def _part(subset: str, stored: Stored, dt: float | None, params: Mapping[str, float]) -> Part:
    n, frames = stored.shape[:2]
    times: NDArray[np.float64] | None = None if dt is None else np.arange(frames) * np.float64(dt)
    values = {k: np.full(n, v) for k, v in params.items()}
    return Part(stored.path, n, np.full(n, frames), {"u": (stored,)}, times, values, subset)


def _params(info: Mapping[str, Any]) -> dict[str, float]:
    """Physical numbers of the scenario; entries of lists are numbered: gammas_2."""
    found: dict[str, float] = {}

    def look(name: str, value: Any) -> None:
        if isinstance(value, list):
            for k, entry in enumerate(value[:64]):
                look(f"{name}_{k}", entry)
        elif (number := as_number(value)) is not None:
            found[name] = number

    for key, value in info.items():
        if key not in SETTINGS:
            look(str(key), value)
    return found
