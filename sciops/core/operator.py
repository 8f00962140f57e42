r"""The one signature behind which every operator stands, and the rollout.

    forward(a, params, at):   a (B, C, *N), params (B, P)  ->  (B, C', *M),

physical units in, physical units out.  With the channel statistics m, s of the training data
(buffers of the operator) the learned part v sees only normalised numbers:

    y = m_y + s_y v((a - m_a) / s_a, (p - m_p) / s_p, at)            predict: value
    y = a_last(at) + m_dy + s_dy v(..)                               predict: increment

where a_last is the newest frame of the input that the target is fed back into, and m_dy, s_dy
are the statistics of the change over one step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypedDict

import torch
from torch import Tensor, nn

from sciops.core.config import PlugInSettings
from sciops.core.errors import SchemaError, ShapeError
from sciops.core.interpolation import to_axes, to_points
from sciops.core.schema import Axis, Domain, Grid, Points, Schema, Variable

if TYPE_CHECKING:
    from typing import Self

    from sciops.core.statistics import Statistics

At = tuple[Tensor, ...] | Tensor | None

CONTRACTS = {  # what every operator keeps, and the keys of `OperatorConfig.breaks`
    "real_parameters": "all parameters are real numbers",
    "asked_points": "output at other axes and at scattered points",
    "samples_independent": "samples of a batch do not touch each other",
    "gradients": "a finite, non-zero gradient for every parameter",
    "double": "`.double()`",
    "autocast": "bf16 autocast",
    "safetensors": "round trip through safetensors",
    "weights_only": "round trip through `torch.load(weights_only=True)`",
    "copies": "deepcopy and pickle",
    "ddp": "DDP on two processes equals one process",
    "fsdp": "FSDP2 on two processes equals one process",
    "export": "`torch.export` with dynamic batch and sizes",
    "onnx": "ONNX with dynamic batch and sizes",
    "compile": "`torch.compile(fullgraph=True, dynamic=True)`",
    "inductor": "the same, through the inductor",
    "forward_derivative": "forward-mode derivatives",
    "vmap": "`torch.func.vmap`",
    "gpu": "GPU equals CPU",
}

_OFFSETS = {  # spacing -> (o, e): x_i = lower + (i + o) L / (n + e)
    "cell": (0.5, 0),
    "node": (0.0, -1),
    "periodic": (0.0, 0),
    "left": (0.0, 0),
    "interior": (1.0, 1),
}


class Sample(TypedDict):
    """One window of one trajectory; a stock DataLoader puts B in front of every shape."""

    inputs: Tensor  # (C, *N) frames and components as channels, oldest frame first
    targets: Tensor  # (T, C', *N') the next T frames (T = 1 where nothing evolves)
    params: Tensor  # (P,) scalar parameters; (0,) where there are none
    mask: Tensor  # (T, 1, *N' or ones) bool, False where a target is not data
    time: Tensor  # (frames + T,) float64 times of the frames; NaN where not known
    id: Tensor  # (2,) int64 number of the trajectory and of the window's first frame


class TrainingData(Protocol):
    """What `Operator.fit` asks of the training part."""

    schema: Schema

    def statistics(self) -> Mapping[str, Statistics]:
        """Per variable, and per change of a variable over one step as ``name.increment``."""
        ...

    def batches(self, size: int) -> Iterator[Sample]:
        """All samples once, in order, `size` at a time."""
        ...


class OperatorConfig(PlugInSettings, ABC):
    """Settings of an operator; channels, grid and boundary come from the schema, not from here.

    Attributes
    ----------
    breaks
        Contract name -> reason, for each contract of every operator that this one cannot keep.
    """

    group: ClassVar[str] = "operators"
    breaks: ClassVar[Mapping[str, str]] = {}
    normalise: bool = True  # channels by mean and std of the training part
    predict: Literal["value", "increment"] = "value"  # increment needs a schema with feedback

    @abstractmethod
    def build(self, schema: Schema) -> Operator:
        """An operator for data of that schema; SchemaError where it cannot be one."""


class Operator(nn.Module, ABC):
    """A map between fields.  Subclasses give `evaluate` on normalised numbers.

    Parameters
    ----------
    config
        The settings it was built from; saved beside the weights.
    schema
        Inputs, targets, parameters, grids and boundary of the task.

    Attributes
    ----------
    input_shape
        (*N), or (M,), of the inputs of the training part.
    carried
        Per target channel the input channel to which its change is added; () for predict: value.
    """

    def __init__(self, config: OperatorConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.schema = schema
        self.input_shape = schema.input_domain.shape
        self._axes = _axis_rules(schema)
        self.carried = _carried_channels(schema) if config.predict == "increment" else ()
        sizes = {
            "input": schema.input_channels,
            "target": schema.target_channels,
            "param": len(schema.params),
        }
        for name, n in sizes.items():
            self.register_buffer(f"{name}_mean", torch.zeros(n))
            self.register_buffer(f"{name}_scale", torch.ones(n))
        for d, axis in enumerate(getattr(schema.input_domain, "axes", ())):
            if axis.spacing == "graded":
                self.register_buffer(
                    f"_graded_{d}",
                    torch.tensor((axis.coordinates - axis.lower) / axis.length),
                    persistent=False,
                )

    input_mean: Tensor
    input_scale: Tensor
    target_mean: Tensor
    target_scale: Tensor
    param_mean: Tensor
    param_scale: Tensor

    def forward(self, a: Tensor, params: Tensor | None = None, at: At = None) -> Tensor:
        """Fields at the asked points.

        Parameters
        ----------
        a
            (B, C, *N) input; N may differ from the training grid where the operator allows it.
        params
            (B, P) scalar parameters; may be left out where P = 0.
        at
            None (the input's grid), a tuple of axis coordinates, or points (M, D), in the units
            of the target's coordinates.

        Returns
        -------
        Tensor
            (B, C', *shape of `at`).

        Raises
        ------
        ShapeError
            If channels, dimension or parameters do not fit the schema.
        """
        params = self._checked(a, params)
        a_n = (a - _channels(self.input_mean, a)) / _channels(self.input_scale, a)
        params_n = (params - self.param_mean) / self.param_scale
        v = self.evaluate(a_n, params_n, at)
        y = v * _channels(self.target_scale, v) + _channels(self.target_mean, v)
        if self.carried:
            y = y + self.sample_input(a[:, list(self.carried)], at)
        return y

    @abstractmethod
    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """The map on normalised numbers: a (B, C, *N), params (B, P) -> (B, C', *shape of `at`)."""

    def prepare(self, train: TrainingData) -> None:
        """Take what the operator needs beyond the channel statistics from the training part."""

    def fit(self, train: TrainingData) -> Self:
        """Statistics, basis, mean field: everything that is computed from the training part.

        Raises
        ------
        SchemaError
            If the data are of another schema than the operator.
        """
        self.check(train.schema)
        if self.config.normalise:
            statistics = train.statistics()
            self._set("input", self.schema.inputs, statistics)
            self._set("param", self.schema.params, statistics)
            suffix = ".increment" if self.carried else ""
            self._set("target", self.schema.targets, statistics, suffix)
        self.prepare(train)
        return self

    def _set(
        self,
        name: str,
        variables: Sequence[Variable],
        statistics: Mapping[str, Statistics],
        suffix: str = "",
    ) -> None:
        mean, scale = [], []
        for v in variables:
            found = statistics[v.name + suffix]
            mean += list(found.mean) * v.frames
            scale += list(found.scale) * v.frames
        for kind, values in (("mean", mean), ("scale", scale)):
            buffer = getattr(self, f"{name}_{kind}")
            buffer.copy_(torch.tensor(values, dtype=torch.float64))

    def check(self, schema: Schema) -> None:
        """SchemaError unless data of `schema` can be given to this operator."""
        for role in ("inputs", "targets", "params"):
            ours = [(v.name, v.frames, v.components) for v in getattr(self.schema, role)]
            theirs = [(v.name, v.frames, v.components) for v in getattr(schema, role)]
            if ours != theirs:
                raise SchemaError(
                    f"{role}: the operator was built for (name, frames, components) {ours}, "
                    f"the data hold {theirs}"
                )
        _check_domain("inputs", self.schema.input_domain, schema.input_domain)
        _check_domain("targets", self.schema.target_domain, schema.target_domain)

    def on(self, domain: Domain) -> tuple[Tensor, ...] | Tensor:
        """The `at` of a domain: its axis coordinates, or its points (M, D)."""
        like = self.input_mean
        if isinstance(domain, Grid):
            return tuple(
                torch.tensor(a.coordinates, dtype=like.dtype, device=like.device)
                for a in domain.axes
            )
        return torch.tensor(domain.coordinates, dtype=like.dtype, device=like.device)

    def at_targets(self, schema: Schema) -> At:
        """The `at` that gives the targets of `schema`: None where they lie on the input's grid."""
        if schema.target_domain == schema.input_domain:
            return None
        return self.on(schema.target_domain)

    def input_coordinates(self, a: Tensor) -> list[Tensor]:
        """Positions (n_d,) of the points of a (.., *N) along each axis of the input's domain."""
        return [
            rule.lower + self.input_fractions(d, a) * (rule.upper - rule.lower)
            for d, rule in enumerate(self._axes)
        ]

    def input_fractions(self, d: int, a: Tensor) -> Tensor:
        """The same along axis d as fractions of its length, (x - lower) / L: no digits are lost."""
        dtype = torch.float64 if a.dtype == torch.float64 else torch.float32
        rule, n = self._axes[d], a.shape[a.ndim - len(self._axes) + d]
        i = torch.arange(n, device=a.device, dtype=dtype)
        if rule.spacing == "graded":
            x = getattr(self, f"_graded_{d}").to(dtype)
            places = i * ((x.shape[0] - 1) / max(n - 1, 1))
            j = places.floor().clamp(max=max(x.shape[0] - 2, 0)).long()
            return torch.lerp(x[j], x[(j + 1).clamp(max=x.shape[0] - 1)], places - j)
        offset, extra = _OFFSETS[rule.spacing]
        return (i + offset) / (n + extra)

    @property
    def periods(self) -> list[float | None]:
        """Length of each periodic axis of the input's domain, None for the others."""
        return [r.upper - r.lower if r.periodic else None for r in self._axes]

    def sample_input(self, v: Tensor, at: At) -> Tensor:
        """A field v (B, C, *N) on the input's grid at the asked points, by linear interpolation."""
        if at is None:
            return v
        if not self._axes:
            raise ShapeError(
                "the input lives on scattered points, from which this operator cannot "
                "interpolate; leave `at` out"
            )
        axes = self.input_coordinates(v)
        if isinstance(at, Tensor):
            return to_points(v, axes, at, self.periods)
        uniform = [r.spacing != "graded" for r in self._axes]
        return to_axes(v, axes, at, self.periods, uniform)

    def _checked(self, a: Tensor, params: Tensor | None) -> Tensor:
        n_channels, n_params = self.input_mean.shape[0], self.param_mean.shape[0]
        dimension = len(self.input_shape)
        if a.ndim != dimension + 2 or a.shape[1] != n_channels:
            raise ShapeError(
                f"expected an input (B, {n_channels}, and {dimension} grid sizes), "
                f"got {tuple(a.shape)}"
            )
        if not a.is_floating_point():
            raise ShapeError(f"expected a floating point input, got {a.dtype}; use a.float()")
        if params is None:
            if n_params:
                names = [v.name for v in self.schema.params]
                raise ShapeError(f"expected params (B, {n_params}) = {names}, got none")
            params = a.new_zeros((a.shape[0], 0))
        if params.ndim != 2 or params.shape[1] != n_params:
            raise ShapeError(f"expected params (B, {n_params}), got {tuple(params.shape)}")
        if not torch.compiler.is_compiling() and len(params) != len(a):
            raise ShapeError(
                f"expected params for each of {len(a)} samples, got {tuple(params.shape)}"
            )
        return params


class _AxisRule:
    """What `Operator.input_coordinates` needs of an axis, in types that tracing understands."""

    def __init__(self, axis: Axis, schema: Schema) -> None:
        self.spacing = str(axis.spacing)
        self.lower, self.upper = axis.lower, axis.upper
        self.periodic = schema.wraps(axis)


def _axis_rules(schema: Schema) -> list[_AxisRule]:
    domain = schema.input_domain
    return [_AxisRule(a, schema) for a in domain.axes] if isinstance(domain, Grid) else []


def _channels(values: Tensor, like: Tensor) -> Tensor:
    """(C,) shaped to multiply a tensor (B, C, *N)."""
    return values.reshape(1, -1, *([1] * (like.ndim - 2)))


def _carried_channels(schema: Schema) -> tuple[int, ...]:
    """For each target channel the input channel of its newest frame."""
    source = dict(schema.feedback)
    slices = schema.channel_slices("inputs")
    channels: list[int] = []
    for v in schema.targets:
        if v.name not in source:
            raise SchemaError(
                f"predict: increment needs every target among the inputs, but {v.name!r} is fed "
                f"back into none; use predict: value"
            )
        stop = slices[source[v.name]].stop
        channels += range(stop - v.width, stop)
    return tuple(channels)


def _check_domain(what: str, ours: Domain, theirs: Domain) -> None:
    if isinstance(ours, Points) or isinstance(theirs, Points):
        if type(ours) is not type(theirs) or ours.dimension != theirs.dimension:
            raise SchemaError(
                f"{what}: the operator expects {_text(ours)}, the data {_text(theirs)}"
            )
        return
    if ours.names != theirs.names:
        raise SchemaError(f"{what}: the operator expects axes {ours.names}, got {theirs.names}")
    for a, b in zip(ours.axes, theirs.axes, strict=True):
        slack = max(a.length / a.size, b.length / b.size)
        if abs(a.lower - b.lower) > slack or abs(a.upper - b.upper) > slack:
            raise SchemaError(
                f"{what}: axis {a.name!r} of the operator covers [{a.lower:g}, {a.upper:g}], "
                f"that of the data [{b.lower:g}, {b.upper:g}]"
            )


def _text(domain: Domain) -> str:
    kind = "points" if isinstance(domain, Points) else "a grid"
    return f"{kind} {domain.shape} in {domain.dimension}-D"


def rollout(
    operator: Operator | nn.Module, start: Mapping[str, Any], steps: int, schema: Schema
) -> Tensor:
    """Apply the operator to its own output `steps` times.

    Parameters
    ----------
    operator
        An `Operator`, or a module that wraps one and has its signature.
    start
        A batch: ``inputs`` (B, C, *N) and ``params`` (B, P).
    steps
        Number of frames to produce.
    schema
        Its `feedback` says which target becomes the newest frame of which input; inputs that are
        not fed back keep their value.

    Returns
    -------
    Tensor
        (B, steps, C', *N').

    Raises
    ------
    SchemaError
        If more than one step is asked for and nothing is fed back.
    """
    if steps > 1 and not schema.feedback:
        raise SchemaError("a rollout of several steps needs a schema with feedback")
    inner: Any = getattr(operator, "module", operator)
    at = inner.at_targets(schema)
    sources, targets = schema.channel_slices("inputs"), schema.channel_slices("targets")
    a, params, frames = start["inputs"], start["params"], []
    for step in range(steps):
        y = operator(a, params, at)  # (B, C', *N')
        frames.append(y)
        if step + 1 == steps:
            break
        a = a.clone()
        for target, source in schema.feedback:
            new, old = y[:, targets[target]], a[:, sources[source]]
            a[:, sources[source]] = torch.cat([old[:, new.shape[1] :], new], dim=1)
    return torch.stack(frames, dim=1)
