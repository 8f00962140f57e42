"""A new operator, format, problem and metric: one file each outside the package, nothing else.

Each is named ``package.module:Class``, passes the contract suites, and works where names go.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from contracts import format_checks, metric_checks, operator_checks, problem_checks

from sciops import metrics
from sciops.core import resolve
from sciops.core.config import validate
from sciops.data.open import open_layout
from sciops.training.run import RunConfig

OPERATOR = '''
"""y = W_2 tanh(W_1 (a, p)), at every point."""
import torch
from torch import nn
from sciops.core.errors import SchemaError
from sciops.core.operator import Operator, OperatorConfig

class Config(OperatorConfig):
    width: int = 8  # hidden channels
    def build(self, schema):
        return Pointwise(self, schema)

class Pointwise(Operator):
    def __init__(self, config, schema):
        super().__init__(config, schema)
        if schema.target_domain != schema.input_domain:
            raise SchemaError("pointwise: targets must lie on the input's grid")
        self.first = nn.Linear(schema.input_channels + len(schema.params), config.width)
        self.second = nn.Linear(config.width, schema.target_channels)

    def evaluate(self, a, params, at):
        p = params.reshape(*params.shape, *[1] * (a.ndim - 2)).expand(-1, -1, *a.shape[2:])
        v = torch.cat([a, p], dim=1).movedim(1, -1)
        return self.sample_input(self.second(torch.tanh(self.first(v))).movedim(-1, 1), at)
'''

FORMAT = '''
"""Text files of one scalar on a line of points: a header, then one row a sample."""
from pathlib import Path
import numpy as np
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.layout import Format, Layout, Part, Stored

HEADER = "# my own format"

class Rows(Format):
    title = "rows of text"
    source = "this test"

    def recognises(self, path):
        if not path.is_file() or not path.read_bytes().startswith(HEADER.encode()):
            return None
        return "begins with the header of this format"

    def layout(self, path):
        values = np.loadtxt(path, ndmin=2)
        grid = Grid((Axis.uniform("x", values.shape[1]),))
        schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), name="rows")
        axes = ("sample", "x")
        stored = Stored(str(path), "memory", "rows", axes, values.shape, "<f8", array=values)
        part = Part(str(path), len(values), np.ones(len(values), dtype=np.int64),
                    {"a": (stored,), "u": (stored,)})
        return Layout(schema, (part,), "rows", "asked for")

    def write_tiny(self, path):
        np.savetxt(path / "tiny.txt", np.arange(12.0).reshape(3, 4), header=HEADER[2:])
        return path / "tiny.txt"
'''

PROBLEM = '''
"""-u\'\' + u = f on the unit interval, u = 0 at both ends, by centred differences."""
from typing import ClassVar
import numpy as np
from sciops.core.problem import Stationary
from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable

class Reaction(Stationary):
    order: ClassVar[float] = 2.0
    resolution: int = 17  # intervals

    def describe(self):
        return "-u\'\' + u = f on (0, 1), u = 0 at both ends; exact: u = sin(pi x)."

    def refined(self, factor=2):
        return self.model_copy(update={"resolution": factor * self.resolution})

    def _x(self):
        return np.arange(1, self.resolution) / self.resolution

    def _matrix(self):
        n = self.resolution - 1
        h2 = self.resolution**2
        return (2 * h2 + 1) * np.eye(n) - h2 * (np.eye(n, k=1) + np.eye(n, k=-1))

    def operator(self):
        import scipy.sparse
        from sciops.core.linear import SparseMap
        matrix = scipy.sparse.csr_matrix(self._matrix())
        return SparseMap.from_scipy(matrix, symmetric=True, positive=True)

    def rhs(self):
        import torch
        return torch.tensor((np.pi**2 + 1) * np.sin(np.pi * self._x()))

    def exact(self):
        import torch
        return torch.tensor(np.sin(np.pi * self._x()))

    def schema(self):
        grid = Grid((Axis.uniform("x", self.resolution - 1, spacing="interior"),))
        ends = tuple(Boundary("x", s, "dirichlet", ("u",), 0.0) for s in ("lower", "upper"))
        return Schema((Variable("f", grid, "input"), Variable("u", grid, "target")), ends)

    def sample(self, generator):
        f = generator.normal(size=self.resolution - 1)
        return {"f": f, "u": np.linalg.solve(self._matrix(), f)}
'''

METRIC = '''
"""Mean absolute error."""
from sciops.metrics import metric
from sciops.metrics._pooling import fields

@metric(perfect=0.0, units="of the variable")
def mean_absolute(pred, truth, schema, mask=None):
    """<|p - y|>"""
    f = fields(pred, truth, schema, mask)
    return f.mean(f.error.abs())
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("plugins")
    (root / "my_operator.py").write_text(OPERATOR)
    (root / "my_format.py").write_text(FORMAT)
    (root / "my_problem.py").write_text(PROBLEM)
    (root / "my_metric.py").write_text(METRIC)
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))
    for name in ("my_operator", "my_format", "my_problem", "my_metric"):
        sys.modules.pop(name, None)


QUICK = [n for n in operator_checks.CHECKS if n not in ("ddp", "fsdp", "inductor", "gpu", "onnx")]


@pytest.mark.parametrize("task", ["stepping_1d", "darcy_2d"])
@pytest.mark.parametrize("contract", QUICK)
def test_operator(folder, contract, task):
    config = resolve.find("operators", "my_operator:Config")()
    operator_checks.CHECKS[contract](config, operator_checks.SCHEMAS[task])


def test_operator_on_two_processes(folder):
    config = resolve.find("operators", "my_operator:Config")()
    for result in operator_checks.distributed([(config, operator_checks.SCHEMAS["darcy_2d"])]):
        assert not any(result.values()), result


@pytest.mark.parametrize("check", format_checks.CHECKS, ids=lambda c: c.__name__)
def test_format(folder, check, tmp_path):
    check(resolve.find("formats", "my_format:Rows")(), tmp_path)


@pytest.mark.parametrize(
    "check", problem_checks.CHECKS + problem_checks.STATIONARY, ids=lambda c: c.__name__
)
def test_problem(folder, check):
    check(resolve.find("problems", "my_problem:Reaction"))


@pytest.mark.parametrize("check", metric_checks.CHECKS, ids=lambda c: c.__name__)
def test_metric(folder, check):
    check(metrics.find("my_metric:mean_absolute"))


def test_all_four_in_one_run(folder, tmp_path):
    """The names work wherever names go: settings, opening, generating, measuring."""
    fmt = resolve.find("formats", "my_format:Rows")()
    path = fmt.write_tiny(tmp_path)
    np.savetxt(path, np.random.default_rng(0).normal(size=(10, 6)), header="my own format")
    assert open_layout(path, "my_format:Rows").n_samples == 10
    tree = {
        "data": {"path": str(path), "format": "my_format:Rows"},
        "operator": {"kind": "my_operator:Config", "width": 4},
        "training": {"epochs": 1},
        "metrics": ["my_metric:mean_absolute"],
    }
    config = validate(RunConfig, tree)
    assert config.operator.kind == "my_operator:Config"
    from sciops.bench.evaluate import evaluate, mean_errors
    from sciops.data.task import load
    from sciops.operators._trained import load as load_model
    from sciops.training.distributed import World
    from sciops.training.run import train

    data = load(config.data)
    operator = train(config, data, tmp_path / "run", World())
    evaluate(operator, config, data, tmp_path / "run")
    names, rows = mean_errors(tmp_path / "run")
    assert names == ["my_metric:mean_absolute"]
    assert rows[0][2][0] > 0
    assert load_model(tmp_path / "run", allow_code=True).schema == data.schema


def test_generate_from_outside(folder, tmp_path, monkeypatch):
    import os

    from sciops.problems._generate import generate

    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), before])))
    problem = resolve.find("problems", "my_problem:Reaction")()
    generate(problem, 3, 0, tmp_path / "out.hdf5", workers=1)
    assert open_layout(tmp_path / "out.hdf5").n_samples == 3
