"""Several data sets as one: order, parameters, parts, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from data.in_memory import everything, flow

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis
from sciops.data.convert import convert
from sciops.data.merge import Merged, duplicates, merge
from sciops.data.source import Selected, open_source


def test_samples_stand_one_after_another(tmp_path):
    a, b = flow(n=2, seed=1, subset="train"), flow(n=3, seed=2, t=4, subset="test")
    b.layout.parts[0].arrays["solid"][0].array[:] = a.read("solid", 0)
    made = merge([a, b], ["a", "b"])
    assert made.n_samples == 5 and list(made.lengths) == [6, 6, 4, 4, 4] and made.shared("solid")
    back = open_source(convert(made, tmp_path / "m.hdf5").path)
    for s in range(5):
        source, i = (a, s) if s < 2 else (b, s - 2)
        for name in ("density", "velocity", "solid", "level"):
            np.testing.assert_array_equal(back.read(name, s), source.read(name, i))
        np.testing.assert_array_equal(back.times(s), source.times(i))
        np.testing.assert_array_equal(back.params(s), source.params(i))
        assert made.subset(s) == source.subset(i)
    assert back.schema == made.schema
    assert '"test": [2, 3, 4]' in (tmp_path / "m.splits.json").read_text()


def test_fields_that_differ_are_not_shared(tmp_path):
    a, b = flow(n=1, seed=1), flow(n=1, seed=2)
    made = Merged([a, b], ["a", "b"])
    assert a.shared("solid") and not made.shared("solid")
    back = open_source(convert(made, tmp_path / "m.hdf5").path)
    for (name, s), q in everything(made).items():
        np.testing.assert_array_equal(back.read(name, s), q)


def test_a_new_parameter_with_its_unit(tmp_path):
    made = merge(
        [flow(n=2, seed=1), flow(n=1, seed=2)], params={"Re": [10.0, 20.0]}, units={"Re": "1"}
    )
    back = open_source(convert(made, tmp_path / "m.nc", "netcdf").path)
    assert [v.name for v in back.schema.params] == ["nu", "Re"] and back.schema["Re"].unit == "1"
    np.testing.assert_allclose(
        [back.params(s) for s in range(3)], [[0.1, 10], [0.2, 10], [0.1, 20]]
    )
    assert back.provenance["Re"] == "given when merged" and back.schema["nu"].unit == "m^2/s"
    with pytest.raises(SchemaError, match="as many values"):
        merge([flow(seed=1), flow(seed=2)], params={"Re": [1.0]})
    with pytest.raises(SchemaError, match="has a variable of that name"):
        merge([flow(seed=1), flow(seed=2)], params={"nu": [1.0, 2.0]})


def test_duplicates_are_refused():
    a = flow(n=3, seed=1)
    with pytest.raises(SchemaError, match=r"3 sample\(s\) hold the same numbers.*3 = 0"):
        merge([a, flow(n=3, seed=1)], params={"Re": [1.0, 2.0]})
    assert merge([a, a], allow_duplicates=True).n_samples == 6
    part = Selected(flow(n=3, seed=1), [2])
    assert duplicates(Merged([flow(n=2, seed=5), a, part], ["a", "b", "c"])) == {5: 4}


def test_types_become_the_wider_one():
    a, b = flow(n=1, seed=1), flow(n=1, seed=2)
    stored = b.layout.parts[0].arrays["velocity"][0]
    wide = replace(stored, dtype="<f8", array=stored.array.astype(np.float64))
    b.layout.parts[0].arrays["velocity"] = (wide,)
    made = merge([a, b])
    assert made.read("velocity", 0).dtype == made.read("velocity", 1).dtype == np.float64


def test_steps_that_differ_leave_dt_open():
    made = merge([flow(seed=1), flow(seed=2, dt=0.25)])
    assert made.schema.dt is None and any("time steps" in n for n in made.notes)
    np.testing.assert_array_equal(made.times(4), 0.25 * np.arange(6))


def changed(source, **what):
    source.schema = replace(source.schema, **what)
    return source


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (flow(x=Axis.uniform("x", 6)), r"density lies on \('x', 'y'\) \(12, 8\) and"),
        (flow(x=Axis.uniform("x", 12, 0.0, 2.0)), "lies on other points: x"),
        (changed(flow(), boundary=()), "boundary is x lower inflow.* and unknown"),
        (changed(flow(), time_unit="h"), "unit of time is s and h"),
        (changed(flow(), variables=flow().schema.variables[1:]), "only the first has density"),
        (
            changed(flow(), variables=(replace(flow().schema["density"], unit="g"),
                                       *flow().schema.variables[1:])),
            "unit of density is kg/m.3 and g",
        ),
    ],
)  # fmt: skip
def test_other_schemas_are_refused(other, words):
    with pytest.raises(SchemaError, match=words) as error:
        merge([flow(seed=3), other], ["first.h5", "second.h5"])
    assert "first.h5 and second.h5 cannot be merged" in str(error.value)


def test_other_kinds_of_numbers_are_refused():
    b = flow(seed=2)
    stored = b.layout.parts[0].arrays["count"][0]
    b.layout.parts[0].arrays["count"] = (
        replace(stored, dtype="<f8", array=stored.array.astype(np.float64)),
    )
    with pytest.raises(SchemaError, match="count is int64 and float64"):
        merge([flow(seed=1), b])
    with pytest.raises(SchemaError, match="nothing to merge"):
        merge([])
