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
from dataclasses import dataclass, replace
from functools import cached_property
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
from sciops.data.change import real
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


class Batch(list[Sample]):
    """The samples of a batch, and the batch of which they are views."""

    def __init__(self, whole: Sample) -> None:
        super().__init__(
            cast(Sample, {k: cast(Tensor, t)[i] for k, t in whole.items()})
            for i in range(len(whole["id"]))
        )
        self.whole = whole


def collate(samples: list[Sample]) -> Sample:
    """For ``DataLoader(windows, .., collate_fn=collate)``: the batch as it was read, not copied."""
    return samples.whole if isinstance(samples, Batch) else cast(Sample, default_collate(samples))


@dataclass(frozen=True)
class _Fixed:
    """Shapes, channels and small tensors that all windows of a `Windows` share."""

    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    places: tuple[tuple[str, Variable, slice | None, slice | None], ...]
    params: Tensor  # (n, P), by sample of the layout
    mask: Tensor
    no_times: NDArray[np.float64]
    kind: np.dtype[Any]


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
        self.layout, window = real(layout, Window() if window is None else window)
        layout = self.layout
        self.samples = tuple(range(layout.n_samples) if samples is None else samples)
        self.window = window
        self.dtype = dtype
        self.schema = task_schema(layout.schema, self.window)
        _ = self.schema.input_domain, self.schema.target_domain
        self.evolves = any(v.time_varying for v in (*self.schema.inputs, *self.schema.targets))
        self.starts = self._index()
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
        return len(self.starts)

    def __getitem__(self, number: int) -> Sample:
        fixed = self._fixed
        x = np.empty(fixed.inputs, fixed.kind)  # numpy's allocation is the faster one
        y = np.empty(fixed.targets, fixed.kind)
        times = self._fill(number, x, y)
        return {
            "inputs": torch.from_numpy(x),  # (C, *N)
            "targets": torch.from_numpy(y),  # (T, C', *N')
            "params": fixed.params[int(self.starts[number, 0])].clone(),
            "mask": fixed.mask.clone(),
            "time": torch.from_numpy(np.array(times, dtype=np.float64)),
            "id": torch.from_numpy(self.starts[number].copy()),
        }

    def _fill(self, number: int, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        """Read one window into its places (C, *N) and (T, C', *N'); its times."""
        sample, start = self.starts[number].tolist()
        w = self.window
        history, frames = w.history, slice(start, start + w.span, w.stride)
        part, i = self.layout.locate(sample)
        for name, v, past, future in self._fixed.places:
            values = reader.read_part(part, i, v, name, frames)
            values = _channels(values, v)  # (T, c, *N); T = 1 where static
            if past is not None:
                kept = values[:history] if v.time_varying else values
                x[past].reshape(kept.shape)[...] = kept
            if future is not None:
                y[:, future] = values[history:] if v.time_varying else values
        if part.times is None or not self.evolves:
            return self._fixed.no_times
        return part.times[frames] if part.times.ndim == 1 else part.times[i, frames]

    def batch(self, numbers: Sequence[int]) -> Sample:
        """Several windows as one batch, read in the order of the storage, without another copy."""
        fixed, n = self._fixed, len(numbers)
        x = np.empty((n, *fixed.inputs), fixed.kind)
        y = np.empty((n, *fixed.targets), fixed.kind)
        times = np.empty((n, len(fixed.no_times)))
        starts = self.starts[np.asarray(numbers, dtype=np.int64)]
        for k in np.lexsort((starts[:, 1], starts[:, 0])).tolist():
            times[k] = self._fill(int(numbers[k]), x[k], y[k])
        return {
            "inputs": torch.from_numpy(x),  # (B, C, *N)
            "targets": torch.from_numpy(y),  # (B, T, C', *N')
            "params": fixed.params[torch.from_numpy(starts[:, 0])],
            "mask": fixed.mask.repeat(n, *[1] * fixed.mask.ndim),
            "time": torch.from_numpy(times),
            "id": torch.from_numpy(starts),
        }

    def __getitems__(self, numbers: Sequence[int]) -> list[Sample]:
        """What a DataLoader asks for: the windows of a batch, as views of `batch`."""
        return Batch(self.batch(numbers))

    @cached_property
    def _fixed(self) -> _Fixed:
        """What is the same for every window."""
        schema, w = self.schema, self.window
        horizon = w.horizon if self.evolves else 1
        past, future = schema.channel_slices("inputs"), schema.channel_slices("targets")
        both = {v.name: v for v in (*schema.inputs, *schema.targets)}
        params = np.array([self.layout.params(s) for s in range(self.layout.n_samples)])
        target = schema.target_domain.shape
        return _Fixed(
            (schema.input_channels, *schema.input_domain.shape),
            (horizon, schema.target_channels, *target),
            tuple((k, v, past.get(k), future.get(k)) for k, v in both.items()),
            torch.from_numpy(params).to(self.dtype),
            torch.ones((horizon, *[1] * (1 + len(target))), dtype=torch.bool),
            np.full(w.history + w.horizon, np.nan),
            torch.empty((), dtype=self.dtype).numpy().dtype,
        )

    def batches(self, size: int) -> Iterator[Sample]:
        """All windows once, in order, `size` at a time, in this process."""
        for begin in range(0, len(self), size):
            yield self.batch(range(begin, min(begin + size, len(self))))

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


def _channels(values: NDArray[Any], v: Variable) -> NDArray[Any]:
    """([T,] *N, *components) as (T, c, *N)."""
    if not v.time_varying:
        values = values[None]
    if v.components:
        values = values.reshape(*values.shape[: values.ndim - v.rank], v.width)
        return np.moveaxis(values, -1, 1)
    return values[:, None]


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
