"""The contracts of every operator, each a plain function ``check_xxx(config, schema)``.

A check raises where its contract is broken; `CHECKS` maps the contract's name, which is also the
key in ``OperatorConfig.breaks``, to its function.  They know nothing of any particular operator, so
a plug-in from outside runs the same ones:

    from contracts.operator_checks import CHECKS, SCHEMAS
    for check in CHECKS.values():
        check(MyConfig(), SCHEMAS["darcy_2d"])

`distributed` runs the contracts ``ddp`` and ``fsdp`` of many operators on one pair of processes.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import math
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciops.core.errors import ShapeError
from sciops.core.operator import At, Operator, OperatorConfig, Sample
from sciops.core.schema import Axis, Boundary, Domain, Grid, Points, Schema, Variable
from sciops.core.statistics import Moments, Statistics

Check = Callable[[OperatorConfig, Schema], None]


# --------------------------------------------------------------------------- schemas and data


def _schemas() -> dict[str, Schema]:
    """A few small tasks that differ in everything an operator may care about."""
    ring = Grid((Axis.uniform("x", 16, 0.0, 2.0, "periodic"),))
    darcy = Grid((Axis.uniform("y", 12, 0.0, 1.5), Axis.uniform("x", 16)))
    graded = Axis("z", np.array([0.0, 0.1, 0.3, 0.6, 1.0]), 0.0, 1.0)
    box = Grid((graded, Axis.uniform("y", 4), Axis.uniform("x", 6, -1.0, 1.0, "periodic")))
    history = Grid((Axis.uniform("t", 5, 0.0, 1.0, "node"), ring.axes[0].resized(12)))
    places = Points(np.random.default_rng(0).uniform(-1.0, 2.0, (20, 2)))
    walls = tuple(
        Boundary(axis, side, "dirichlet", value=0.0)
        for axis in ("y", "x")
        for side in ("lower", "upper")
    )
    return {
        "stepping_1d": Schema(
            (
                Variable("u", ring, "input", frames=2),
                Variable("u", ring, "target"),
                Variable("nu", role="param"),
                Variable("speed", role="param"),
            ),
            dt=0.1,
            feedback=(("u", "u"),),
            name="stepping_1d",
        ),
        "darcy_2d": Schema(
            (Variable("a", darcy, "input"), Variable("u", darcy, "target")),
            walls,
            name="darcy_2d",
        ),
        "box_3d": Schema(
            (
                Variable("rho", box, "input"),
                Variable("wall", box, "geometry"),
                Variable("velocity", box, "target", components=(3,)),
            ),
            name="box_3d",
        ),
        "history": Schema(
            (
                Variable("u0", ring, "input"),
                Variable("u", history, "target"),
                Variable("p", history, "target"),
                Variable("nu", role="param"),
            ),
            name="history",
        ),
        "points_2d": Schema(
            (Variable("v", places, "input", components=(2,)), Variable("p", places, "target")),
            name="points_2d",
        ),
    }


SCHEMAS = _schemas()


class TinyData:
    """A training part in memory: random inputs and targets of a schema; the three things that
    `Operator.fit` asks for."""

    def __init__(self, schema: Schema, n: int = 12, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.schema = schema
        inputs, targets = schema.input_domain.shape, schema.target_domain.shape
        self.inputs = torch.randn(n, schema.input_channels, *inputs, generator=generator) + 0.5
        self.targets = torch.randn(n, 1, schema.target_channels, *targets, generator=generator) * 3
        self.params = torch.rand(n, len(schema.params), generator=generator)
        self.mask = torch.ones(n, 1, 1, *targets, dtype=torch.bool)

    def statistics(self) -> Mapping[str, Statistics]:
        """Of each variable, in whatever role, and of its change where it is fed back."""
        moments = {v.name: Moments(v.width) for v in self.schema.variables}
        channels = self.schema.channel_slices("inputs")
        for v in self.schema.inputs:
            moments[v.name].update(_rows(self.inputs[:, channels[v.name]], v))
        for p, v in enumerate(self.schema.params):
            moments[v.name].update(_rows(self.params[:, p, None], v))
        outputs, source = self.schema.channel_slices("targets"), dict(self.schema.feedback)
        for v in self.schema.targets:
            y = self.targets[:, 0, outputs[v.name]]
            moments[v.name].update(_rows(y, v))
            if v.name in source:
                stop = channels[source[v.name]].stop
                change = moments[f"{v.name}.increment"] = Moments(v.width)
                change.update(_rows(y - self.inputs[:, stop - v.width : stop], v))
        return {name: m.result() for name, m in moments.items()}

    def batches(self, size: int) -> Iterator[Sample]:
        """All samples, `size` at a time."""
        for i in range(0, len(self.inputs), size):
            part = slice(i, i + size)
            yield {
                "inputs": self.inputs[part],
                "targets": self.targets[part],
                "params": self.params[part],
                "mask": self.mask[part],
                "time": torch.full((len(self.inputs[part]), 2), math.nan, dtype=torch.float64),
                "id": torch.zeros(len(self.inputs[part]), 2, dtype=torch.int64),
            }


def _rows(values: Tensor, variable: Variable) -> NDArray[Any]:
    """(n, frames * width, *N) as rows of components: (n * frames * prod N, width)."""
    return values.unflatten(1, (-1, variable.width)).movedim(2, -1).flatten(0, -2).numpy()


def example(schema: Schema, n: int, seed: int = 1, grow: int = 0) -> tuple[Tensor, Tensor | None]:
    """Input (n, C, *N) and params (n, P) or None; `grow` more points along each axis of a grid."""
    generator = torch.Generator().manual_seed(seed)
    shape = schema.input_domain.shape
    if isinstance(schema.input_domain, Grid):
        shape = tuple(m + grow for m in shape)
    a = torch.randn(n, schema.input_channels, *shape, generator=generator)
    n_params = len(schema.params)
    return a, torch.rand(n, n_params, generator=generator) if n_params else None


def fitted(config: OperatorConfig, schema: Schema) -> Operator:
    """The operator with statistics of `TinyData`, at a seeded random point of parameter space."""
    torch.manual_seed(0)
    operator = config.build(schema).fit(TinyData(schema))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in operator.parameters():
            size = p.abs().mean().item() or 0.1  # zeros of an initialisation must not stay zeros
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * size)
    return operator.eval()


def close(got: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """|got - expected| <= tolerance |expected| in the maximum norm, and all of it finite."""
    assert got.shape == expected.shape, f"shape {tuple(got.shape)}, not {tuple(expected.shape)}"
    assert torch.isfinite(got).all(), "not finite"
    size = max(expected.abs().max().item(), 1e-30)
    off = (got - expected).abs().max().item() / size
    assert off <= tolerance, f"off by {off:.2e} of the largest value, allowed {tolerance:.0e}"


# --------------------------------------------------------------------------- the contracts


def check_real_parameters(config: OperatorConfig, schema: Schema) -> None:
    """Parameters and buffers are real."""
    for name, t in fitted(config, schema).state_dict().items():
        assert not t.is_complex(), f"{name} is {t.dtype}"


def check_asked_points(config: OperatorConfig, schema: Schema) -> None:
    """The output lies on the points that are asked for, however they are asked for."""
    operator = fitted(config, schema)
    a, params = example(schema, 3)
    y = operator(a, params, operator.at_targets(schema))
    targets = schema.target_domain
    assert y.shape == (3, schema.target_channels, *targets.shape), tuple(y.shape)
    assert torch.isfinite(y).all() and y.dtype == torch.float32
    if schema.input_domain == targets:
        close(operator(a, params), y)
        try:
            close(operator(a, params, operator.on(targets)), y)
        except ShapeError:  # an operator may say that it cannot interpolate from points
            assert isinstance(targets, Points)
    if isinstance(targets, Grid):
        other = targets.resized([n + 3 for n in targets.shape])
        on_axes = operator(a, params, operator.on(other))
        assert on_axes.shape == (3, schema.target_channels, *other.shape), tuple(on_axes.shape)
        places = torch.tensor(other.coordinates, dtype=torch.float32)
        close(operator(a, params, places[::2]), on_axes.flatten(2)[..., ::2], 1e-4)


def check_samples_independent(config: OperatorConfig, schema: Schema) -> None:
    """A sample's output does not change with the rest of the batch, in training mode neither."""
    operator = fitted(config, schema).train()
    at = operator.at_targets(schema)
    a, params = example(schema, 4)
    y = operator(a, params, at)
    b, other = example(schema, 4, seed=5)
    b = 7.0 * b + 3.0
    b[0] = a[0]
    if params is not None and other is not None:
        other[0] = params[0]
    close(operator(b, other, at)[0], y[0])
    order = torch.tensor([2, 0, 3, 1])
    close(operator(a[order], None if params is None else params[order], at), y[order])
    alone = operator(a[1:2], None if params is None else params[1:2], at)
    close(alone, y[1:2])


def check_gradients(config: OperatorConfig, schema: Schema) -> None:
    """Every parameter has a finite gradient that is not zero."""
    operator = fitted(config, schema).train()
    for name, g in _gradients(operator, schema, *example(schema, 3)).items():
        assert g is not None, f"{name} has no gradient"
        assert torch.isfinite(_real(g)).all(), name
        assert g.abs().max() > 0, f"the gradient of {name} is zero"


def _gradients(
    module: nn.Module, schema: Schema, a: Tensor, params: Tensor | None
) -> dict[str, Tensor | None]:
    """Gradients of the mean over samples of <w, y>, w a fixed smooth weight."""
    inner = getattr(module, "module", module)
    y = module(a, params, inner.at_targets(schema))
    w = torch.linspace(-1.0, 2.0, y[0].numel()).reshape(y[0].shape).to(y)
    loss = (y * w).flatten(1).sum(1).mean()
    if loss.requires_grad:
        loss.backward()
    return {name: p.grad for name, p in inner.named_parameters()}


def _real(t: Tensor) -> Tensor:
    """Complex numbers as pairs of real ones."""
    return torch.view_as_real(t) if t.is_complex() else t


def check_double(config: OperatorConfig, schema: Schema) -> None:
    """.double() gives float64 that agrees with float32, and is computed in float64 throughout."""
    operator = fitted(config, schema)
    at = operator.at_targets(schema)
    a, params = example(schema, 2)
    single = operator(a, params, at)
    operator.double()
    at = operator.at_targets(schema)
    p = None if params is None else params.double()
    a = a.double()
    y = operator(a, p, at)
    assert y.dtype == torch.float64
    close(y, single.double(), 1e-3)
    # A smooth function has a second difference of order step^2, unless it is rounded to float32.
    step = 1e-6 * torch.randn(a.shape, generator=torch.Generator().manual_seed(3)).double()
    bend = operator(a + step, p, at) - 2 * y + operator(a - step, p, at)
    rough = (bend.abs().max() / y.abs().max()).item()
    assert rough < 1e-10, f"rounded somewhere: second difference {rough:.1e} for steps of 1e-6"


def check_autocast(config: OperatorConfig, schema: Schema) -> None:
    """Under bf16 autocast the output is that of float32 within bf16's precision; so is training."""
    operator = fitted(config, schema)
    a, params = example(schema, 2)
    y = operator(a, params, operator.at_targets(schema))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = operator(a, params, operator.at_targets(schema))
        gradients = _gradients(operator, schema, a, params)
    off = ((low.float() - y).norm() / y.norm()).item()
    assert off < 0.1, f"off by {off:.3f} under autocast"
    for name, g in gradients.items():
        assert g is not None and torch.isfinite(_real(g)).all(), name


def check_safetensors(config: OperatorConfig, schema: Schema) -> None:
    """The state dict goes through safetensors and back."""
    operator = fitted(config, schema)
    state = safetensors.torch.load(safetensors.torch.save(operator.state_dict()))
    _same_after_loading(config, schema, operator, state)


def check_weights_only(config: OperatorConfig, schema: Schema) -> None:
    """torch.load(weights_only=True) reads the state dict back."""
    operator = fitted(config, schema)
    file = io.BytesIO()
    torch.save(operator.state_dict(), file)
    file.seek(0)
    _same_after_loading(config, schema, operator, torch.load(file, weights_only=True))


def _same_after_loading(
    config: OperatorConfig, schema: Schema, operator: Operator, state: Mapping[str, Tensor]
) -> None:
    torch.manual_seed(7)
    other = config.build(schema).eval()
    other.load_state_dict(state, strict=True)
    a, params = example(schema, 2)
    at = operator.at_targets(schema)
    close(other(a, params, at), operator(a, params, at), 1e-6)


def check_copies(config: OperatorConfig, schema: Schema) -> None:
    """deepcopy and pickle give an equal operator that shares nothing."""
    operator = fitted(config, schema)
    a, params = example(schema, 2)
    at = operator.at_targets(schema)
    y = operator(a, params, at)
    for other in (copy.deepcopy(operator), pickle.loads(pickle.dumps(operator))):
        close(other(a, params, at), y, 1e-6)
        assert other.config == operator.config and other.schema == operator.schema
        with torch.no_grad():
            for t in other.state_dict().values():
                t.zero_()
        close(operator(a, params, at), y, 1e-6)


def _dynamic_shapes(schema: Schema, params: Tensor | None, at: At) -> tuple[Any, ...]:
    """Dynamic batch, and sizes from those of the training upwards where the domain is a grid."""
    batch = torch.export.Dim("batch", min=1, max=64)
    sizes: dict[int, Any] = {0: batch}
    if isinstance(schema.input_domain, Grid):
        for d, n in enumerate(schema.input_domain.shape):
            sizes[d + 2] = torch.export.Dim(f"n_{d}", min=n, max=4096)
    asked: Any = None
    if isinstance(at, tuple):
        asked = tuple({0: torch.export.Dim(f"m_{d}", min=2, max=4096)} for d in range(len(at)))
    elif isinstance(at, Tensor):
        asked = {0: torch.export.Dim("m", min=2, max=4096)}
    return sizes, None if params is None else {0: batch}, asked


def _larger(schema: Schema, operator: Operator) -> tuple[Tensor, Tensor | None, At]:
    """A larger batch on a larger grid, and larger asked axes where some are asked for."""
    a, params = example(schema, 5, grow=3)
    at = operator.at_targets(schema)
    if isinstance(at, tuple) and isinstance(schema.target_domain, Grid):
        domain: Domain = schema.target_domain.resized([n + 2 for n in schema.target_domain.shape])
        at = operator.on(domain)
    return a, params, at


def check_export(config: OperatorConfig, schema: Schema) -> None:
    """torch.export with dynamic batch and sizes; the graph is right at other sizes."""
    operator = fitted(config, schema)
    a, params = example(schema, 3)
    at = operator.at_targets(schema)
    program = torch.export.export(
        operator, (a, params, at), dynamic_shapes=_dynamic_shapes(schema, params, at)
    )
    graph = program.module()
    close(graph(a, params, at), operator(a, params, at))
    larger = _larger(schema, operator)
    close(graph(*larger), operator(*larger))


def check_onnx(config: OperatorConfig, schema: Schema) -> None:
    """ONNX with dynamic batch and sizes, run by onnxruntime."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra onnx)")
    import onnxruntime

    operator = fitted(config, schema)
    a, params = example(schema, 3)
    at = operator.at_targets(schema)
    with warnings.catch_warnings():
        # Both are about names of axes: an argument that is None is none of the graph's inputs, and
        # the batch of a and of params is one axis.
        warnings.filterwarnings("ignore", "# ONNX model has different number of inputs")
        warnings.filterwarnings("ignore", "# The axis name: .* will not be used")
        program = torch.onnx.export(
            operator,
            (a, params, at),
            dynamo=True,
            verbose=False,
            dynamic_shapes=_dynamic_shapes(schema, params, at),
        )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    larger = _larger(schema, operator)
    flat = [t for t in torch.utils._pytree.tree_leaves(larger) if isinstance(t, Tensor)]
    names = [i.name for i in session.get_inputs()]
    # An input on which the output does not depend is not an input of the ONNX graph's session.
    given = dict(zip([i.name for i in program.model.graph.inputs], flat, strict=True))
    (y,) = session.run(None, {n: given[n].numpy() for n in names})
    close(torch.from_numpy(y), operator(*larger), 1e-4)


def _check_compiled(config: OperatorConfig, schema: Schema, backend: str) -> None:
    torch._dynamo.reset()
    operator = fitted(config, schema)
    compiled = torch.compile(operator, fullgraph=True, dynamic=True, backend=backend)
    a, params = example(schema, 3)
    at = operator.at_targets(schema)
    expected = _gradients(operator, schema, a, params)
    expected = {name: g.clone() for name, g in expected.items() if g is not None}
    y = compiled(a, params, at)
    close(y, operator(a, params, at))
    operator.zero_grad()
    w = torch.linspace(-1.0, 2.0, y[0].numel()).reshape(y[0].shape)
    if y.requires_grad:
        (y * w).flatten(1).sum(1).mean().backward()
    for name, p in operator.named_parameters():
        assert p.grad is not None, name
        close(p.grad, expected[name], 1e-3)
    larger = _larger(schema, operator)
    close(compiled(*larger), operator(*larger))


def check_compile(config: OperatorConfig, schema: Schema) -> None:
    """torch.compile(fullgraph=True, dynamic=True), forward and backward, at two sizes."""
    _check_compiled(config, schema, "aot_eager")


def check_inductor(config: OperatorConfig, schema: Schema) -> None:
    """The same with generated code; needs a C++ compiler."""
    _check_compiled(config, schema, "inductor")


def check_forward_derivative(config: OperatorConfig, schema: Schema) -> None:
    """torch.func.jvp agrees with central differences, in the input and in the parameters p."""
    operator = fitted(config, schema).double()
    at = operator.at_targets(schema)
    a, params = example(schema, 2)
    a, p = a.double(), a.new_zeros(2, 0).double() if params is None else params.double()
    generator = torch.Generator().manual_seed(4)
    da = torch.randn(a.shape, generator=generator, dtype=torch.float64)
    dp = torch.randn(p.shape, generator=generator, dtype=torch.float64)

    def f(a: Tensor, p: Tensor) -> Tensor:
        return operator(a, p, at)

    y, dy = torch.func.jvp(f, (a, p), (da, dp))
    close(y, f(a, p), 1e-6)
    h = 1e-3
    with torch.no_grad():
        difference = (f(a + h * da, p + h * dp) - f(a - h * da, p - h * dp)) / (2 * h)
    assert (dy - difference).abs().max() <= 1e-3 * max(difference.abs().max(), 1e-12)


def check_vmap(config: OperatorConfig, schema: Schema) -> None:
    """torch.func.vmap over single samples equals the batch."""
    operator = fitted(config, schema)
    at = operator.at_targets(schema)
    a, params = example(schema, 3)
    expected = operator(a, params, at)
    if params is None:
        got = torch.func.vmap(lambda x: operator(x[None], None, at)[0])(a)
    else:
        got = torch.func.vmap(lambda x, p: operator(x[None], p[None], at)[0])(a, params)
    close(got, expected)


def check_gpu(config: OperatorConfig, schema: Schema) -> None:
    """A CUDA device gives what the CPU gives, forward and backward."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    operator = fitted(config, schema)
    a, params = example(schema, 2)
    y = operator(a, params, operator.at_targets(schema))
    found = _gradients(operator, schema, a, params)
    gradients = {name: g.clone() for name, g in found.items() if g is not None}
    operator.zero_grad()
    operator.cuda()
    p = None if params is None else params.cuda()
    got = operator(a.cuda(), p, operator.at_targets(schema))
    assert got.is_cuda
    close(got.cpu(), y, 1e-3)
    for name, g in _gradients(operator, schema, a.cuda(), p).items():
        assert g is not None, name
        close(_real(g.cpu()), _real(gradients[name]), 5e-3)


# --------------------------------------------------------------------------- two processes


def check_ddp(config: OperatorConfig, schema: Schema) -> None:
    """DistributedDataParallel on two gloo processes equals one process."""
    _raise(distributed([(config, schema)])[0]["ddp"])


def check_fsdp(config: OperatorConfig, schema: Schema) -> None:
    """FSDP2 (fully_shard) on two gloo processes equals one process."""
    _raise(distributed([(config, schema)])[0]["fsdp"])


def _raise(failure: str | None) -> None:
    assert failure is None, failure


def distributed(
    cases: list[tuple[OperatorConfig, Schema]],
) -> list[dict[str, str | None]]:
    """For each case what failed under ``ddp`` and ``fsdp``, or None; one pair of processes."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_worker, (folder, cases), nprocs=2)
        results: list[dict[str, str | None]] = torch.load(
            Path(folder, "results_0"), weights_only=True
        )
        return results


def _worker(rank: int, folder: str, cases: list[tuple[OperatorConfig, Schema]]) -> None:
    import torch.distributed as dist

    torch.set_num_threads(1)
    store = dist.FileStore(str(Path(folder, "store")), 2)
    dist.init_process_group(
        "gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    results: list[dict[str, str | None]] = []
    for config, schema in cases:
        results.append({})
        for strategy in ("ddp", "fsdp"):
            try:
                _equal_to_one_process(config, schema, strategy, rank)
                results[-1][strategy] = None
            except Exception:
                results[-1][strategy] = traceback.format_exc()
            dist.barrier()
    torch.save(results, Path(folder, f"results_{rank}"))
    dist.destroy_process_group()


def _equal_to_one_process(config: OperatorConfig, schema: Schema, strategy: str, rank: int) -> None:
    """Gradients of the halves of a batch, averaged, and the output after one step with them."""
    alone = fitted(config, schema).train()
    wrapped: nn.Module = copy.deepcopy(alone)
    if not list(wrapped.parameters()):
        return  # nothing is learned, so there is nothing to distribute
    a, params = example(schema, 4)
    expected = _gradients(alone, schema, a, params)
    half = slice(2 * rank, 2 * rank + 2)
    wrapped = _wrap(wrapped, strategy)
    got = _gradients(wrapped, schema, a[half], None if params is None else params[half])
    for name, g in got.items():
        assert g is not None and expected[name] is not None, name
        close(_whole(g), expected[name], 1e-4)
    for module in (alone, wrapped):
        torch.optim.SGD(module.parameters(), lr=1e-3).step()
    at = alone.at_targets(schema)
    close(wrapped(a, params, at), alone(a, params, at), 1e-4)


def _wrap(module: nn.Module, strategy: str) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if strategy == "ddp":
        return nn.parallel.DistributedDataParallel(module)
    return fully_shard(module, mesh=init_device_mesh("cpu", (2,)))


def _whole(g: Tensor) -> Tensor:
    """The gathered value of a sharded tensor."""
    full = getattr(g, "full_tensor", None)
    return g if full is None else full()


CHECKS: dict[str, Check] = {
    "real_parameters": check_real_parameters,
    "asked_points": check_asked_points,
    "samples_independent": check_samples_independent,
    "gradients": check_gradients,
    "double": check_double,
    "autocast": check_autocast,
    "safetensors": check_safetensors,
    "weights_only": check_weights_only,
    "copies": check_copies,
    "ddp": check_ddp,
    "fsdp": check_fsdp,
    "export": check_export,
    "onnx": check_onnx,
    "compile": check_compile,
    "inductor": check_inductor,
    "forward_derivative": check_forward_derivative,
    "vmap": check_vmap,
    "gpu": check_gpu,
}
DISTRIBUTED = ("ddp", "fsdp")
SLOW = ("inductor",)
