"""Windows over trajectories: what a DataLoader reads.

With a history of h frames, a horizon of T frames and a stride of s frames, the window that begins
at frame k of a trajectory u is

    inputs   u[k], u[k + s], .., u[k + (h - 1) s]        as h * c channels, oldest first
    targets  u[k + h s], .., u[k + (h + T - 1) s]

Where nothing evolves there is one window a sample: its inputs and its targets.  A `Windows` holds
a description of the files only, so it pickles and works with workers started in any way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from sciops.core.config import Settings
from sciops.core.errors import DataError, SchemaError
from sciops.core.operator import Sample
from sciops.core.schema import Schema, Variable
from sciops.core.statistics import Statistics
from sciops.data import reader
from sciops.data.layout import Layout


class Window(Settings):
    """Which frames make a sample."""

    history: int = 1  # frames of the input
    horizon: int = 1  # frames of the target
    stride: int = 1  # frames between two that are used
    every: int = 1  # frames between the beginnings of two windows
    inputs: tuple[str, ...] | None = None  # variables; None: those whose role says so
    targets: tuple[str, ...] | None = None

    def model_post_init(self, _: object) -> None:
        for name in ("history", "horizon", "stride", "every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def span(self) -> int:
        """Frames from the first to the last of a window, both counted."""
        return (self.history + self.horizon - 1) * self.stride + 1


def task_schema(schema: Schema, window: Window) -> Schema:
    """The learning task that a window makes of a data set.

    A state becomes an input of `history` frames and a target, fed back from one to the other;
    variables of other roles keep theirs.

    Raises
    ------
    SchemaError, NotFound
        If a named variable does not exist, or nothing is left to learn from or to learn.
    """
    inputs = _chosen(schema, window.inputs, ("input", "state", "forcing", "geometry"))
    targets = _chosen(schema, window.targets, ("target", "state"))
    variables: list[Variable] = []
    for v in inputs:
        role = "input" if v.role in ("state", "target") else v.role
        frames = window.history if v.time_varying else 1
        variables.append(replace(v, role=role, frames=frames))
    variables += [replace(v, role="target", frames=1) for v in targets]
    names = [v.name for v in inputs]
    feedback = tuple((v.name, v.name) for v in targets if v.time_varying and v.name in names)
    if not targets:
        raise SchemaError(
            f"{schema.name}: no variable is a target; name some with window.targets, known: "
            f"{[v.name for v in schema.variables]}"
        )
    if not inputs:
        raise SchemaError(f"{schema.name}: no variable is an input; name some with window.inputs")
    dt = None if schema.dt is None else schema.dt * window.stride
    return replace(schema, variables=(*variables, *schema.params), feedback=feedback, dt=dt)


def _chosen(schema: Schema, names: Sequence[str] | None, roles: Sequence[str]) -> list[Variable]:
    if names is None:
        return [v for v in schema.variables if v.role in roles]
    chosen = [schema[name] for name in names]
    scalar = [v.name for v in chosen if v.role == "param"]
    if scalar:
        raise SchemaError(f"{scalar} are parameters; they are given to the operator as such")
    return chosen


class Windows(Dataset[Sample]):
    """The windows of some trajectories of a data set, as tensors.

    Parameters
    ----------
    layout
        The data set.
    samples
        Numbers of the trajectories; None for all.
    window
        Which frames make a sample.
    dtype
        Of the fields and parameters.

    Raises
    ------
    SchemaError
        If no trajectory is long enough for one window, or inputs lie on different grids.
    """

    def __init__(
        self,
        layout: Layout,
        samples: Sequence[int] | None = None,
        window: Window | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.layout = layout
        self.samples = tuple(range(layout.n_samples) if samples is None else samples)
        self.window = Window() if window is None else window
        self.dtype = dtype
        self.schema = task_schema(layout.schema, self.window)
        _ = self.schema.input_domain, self.schema.target_domain
        self.evolves = any(v.time_varying for v in (*self.schema.inputs, *self.schema.targets))
        self._starts = self._index()
        self._statistics: dict[str, Statistics] | None = None

    def _index(self) -> NDArray[np.int64]:
        """(n_windows, 2) trajectory and first frame of every window."""
        if not self.evolves:
            pairs = [(s, 0) for s in self.samples]
        else:
            lengths = self.layout.lengths
            w = self.window
            pairs = [
                (s, k)
                for s in self.samples
                for k in range(0, int(lengths[s]) - w.span + 1, w.every)
            ]
        if self.samples and not pairs:
            longest = int(self.layout.lengths[list(self.samples)].max())
            raise SchemaError(
                f"no trajectory is long enough: a window spans {self.window.span} frames, the "
                f"longest trajectory has {longest}; choose a smaller history, horizon or stride"
            )
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> Sample:
        sample, start = (int(k) for k in self._starts[number])
        w = self.window
        frames = slice(start, start + w.span, w.stride)
        fields: dict[str, NDArray[Any]] = {}
        for v in (*self.schema.inputs, *self.schema.targets):
            if v.name not in fields:
                fields[v.name] = self._frames(v, sample, frames)
        inputs = [
            f[: v.frames].reshape(-1, *f.shape[2:])
            for v in self.schema.inputs
            for f in (fields[v.name],)
        ]
        targets = [
            fields[v.name][w.history :] if v.time_varying else fields[v.name]
            for v in self.schema.targets
        ]
        y = self._tensor(targets, 1)
        times = np.full(w.history + w.horizon, np.nan)
        if self.evolves:
            times = self.layout.times(sample)[frames]
        return {
            "inputs": self._tensor(inputs, 0),  # (C, *N)
            "targets": y,  # (T, C', *N')
            "params": torch.tensor(self.layout.params(sample), dtype=self.dtype),
            "mask": torch.ones((y.shape[0], *[1] * (y.ndim - 1)), dtype=torch.bool),
            "time": torch.tensor(times, dtype=torch.float64),
            "id": torch.tensor([sample, start]),
        }

    def _frames(self, v: Variable, sample: int, frames: slice) -> NDArray[Any]:
        """One variable as (T, c, *N); T = 1 where it does not evolve."""
        values = reader.read(self.layout, v.name, sample, frames)
        if not v.time_varying:
            values = values[None]
        if np.iscomplexobj(values):
            raise SchemaError(f"{v.name!r} is complex; store its real and imaginary parts")
        if v.rank:
            values = values.reshape(*values.shape[: values.ndim - v.rank], v.width)
            return np.moveaxis(values, -1, 1)
        return values[:, None]

    def _tensor(self, arrays: list[NDArray[Any]], axis: int) -> Tensor:
        joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)
        kind = torch.empty((), dtype=self.dtype).numpy().dtype
        return torch.from_numpy(np.array(joined, dtype=kind, order="C"))

    def batches(self, size: int) -> Iterator[Sample]:
        """All windows once, in order, `size` at a time, in this process."""
        for begin in range(0, len(self), size):
            yield cast(
                Sample,
                default_collate([self[i] for i in range(begin, min(begin + size, len(self)))]),
            )

    def statistics(self) -> Mapping[str, Statistics]:
        """Per variable and component over all frames of the trajectories; computed once.

        The change of a variable over one stride stands under ``name.increment``.
        """
        if self._statistics is None:
            from sciops.data.normalise import fit_statistics

            self._statistics = fit_statistics(self)
        return self._statistics

    def use_statistics(self, statistics: Mapping[str, Statistics]) -> None:
        """Take statistics that were fitted on these windows before (a resumed run)."""
        self._statistics = dict(statistics)

    def check_finite(self) -> None:
        """DataError at the first NaN or infinity in what the windows read."""
        for v in {v.name: v for v in (*self.schema.inputs, *self.schema.targets)}.values():
            for sample in self.samples:
                require_finite(self.layout, v, sample, reader.read(self.layout, v.name, sample))


def require_finite(layout: Layout, v: Variable, sample: int, values: NDArray[Any]) -> None:
    """DataError, with the place, unless every value is a finite number."""
    if values.dtype.kind in "fc" and not np.isfinite(values).all():
        where = np.argwhere(~np.isfinite(values))
        part, i = layout.locate(sample)
        raise DataError(
            part.name,
            f"{v.name!r} holds {len(where)} NaN or infinite values in sample {i}, the first at "
            f"{tuple(int(k) for k in where[0])}; repair the data or leave the sample out",
        )
