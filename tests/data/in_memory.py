"""Data sets of arrays in memory with all that a schema allows, for the tests of tools."""

from __future__ import annotations

import numpy as np

from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable
from sciops.data.layout import COMPONENTS, Layout, Part, Stored
from sciops.data.source import FileSource


def memory(schema, fields, lengths, times=None, params=None, shared=(), subset=None):
    """A source of those arrays; fields in `shared` have no sample axis."""
    arrays = {}
    for v in schema.variables:
        if v.role == "param":
            continue
        lead = () if v.name in shared else ("sample",)
        time = ("time",) if v.time_varying else ()
        space = tuple(a for a in v.domain.names if a not in v.constant_along)
        a = fields[v.name]
        axes = (*lead, *time, *space, *COMPONENTS[: v.rank])
        arrays[v.name] = (Stored("", "memory", v.name, axes, a.shape, a.dtype.str, array=a),)
    part = Part("memory", len(lengths), np.asarray(lengths), arrays, times, params or {}, subset)
    provenance = dict.fromkeys(params or {}, "argument")
    return FileSource(Layout(schema, (part,), "arrays", "test", ("a note",), {}, provenance))


def flow(x=None, y=None, n=3, t=6, lengths=None, seed=0, subset=None, dt=0.5):
    """Scalars, a vector, a tensor, integers, a mask, shared and constant fields on one grid."""
    rng = np.random.default_rng(seed)
    x = Axis.uniform("x", 12, 0.0, 3.0, unit="m", periodic=False) if x is None else x
    y = Axis.uniform("y", 8, spacing="periodic") if y is None else y
    g = Grid((x, y))
    schema = Schema(
        (
            Variable("density", g, time_varying=True, unit="kg/m^3", location="cell"),
            Variable("velocity", g, components=(2,), time_varying=True),
            Variable("strain", g, components=(2, 2), symmetry="symmetric", time_varying=True),
            Variable("count", g, time_varying=True),
            Variable("solid", g, "geometry"),
            Variable("level", g, "input", constant_along=("y",)),
            Variable("nu", role="param", unit="m^2/s"),
        ),
        (
            Boundary("x", "lower", "inflow", ("velocity",), 1.5),
            Boundary("x", "upper", "outflow"),
            *(Boundary("y", side, "periodic") for side in ("lower", "upper") if y.periodic),
        ),
        dt,
        "s",
        name="flow",
    )
    shape = (n, t, *g.shape)
    fields = {
        "density": rng.normal(size=shape),
        "velocity": rng.normal(size=(*shape, 2)).astype(np.float32),
        "strain": rng.normal(size=(*shape, 2, 2)),
        "count": rng.integers(0, 99, shape),
        "solid": rng.random(g.shape) > 0.5,
        "level": rng.normal(size=(n, x.size)),
    }
    lengths = [t] * n if lengths is None else lengths
    return memory(
        schema, fields, lengths, dt * np.arange(t), {"nu": 0.1 * np.arange(1.0, n + 1)},
        ("solid",), subset,
    )  # fmt: skip


def everything(source):
    """All numbers of a source, to compare two of them."""
    return {
        (v.name, s): source.read(v.name, s)
        for v in source.schema.variables
        if v.role != "param"
        for s in range(source.n_samples)
    }
