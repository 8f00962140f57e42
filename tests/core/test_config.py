"""Strict settings: what is refused, what the message says, overrides, YAML."""

from __future__ import annotations

import pytest

from sciops.core.config import Settings, override, parse_yaml, plug_in_field, to_yaml, validate
from sciops.core.errors import ConfigError


class Inner(Settings):
    width: int = 4
    rate: float = 1e-3


class Outer(Settings):
    name: str
    inner: Inner = Inner()
    operator: plug_in_field("operators") = {"kind": "mean"}  # type: ignore[valid-type]


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (
            {"name": "a", "inner": {"widht": 3}},
            "file: inner: unknown setting 'widht'. Did you mean 'width'? Known: width, rate.",
        ),
        ({"nmae": "a"}, "file: unknown setting 'nmae'. Did you mean 'name'?"),
        ({}, "file: the setting 'name' is missing"),
        (
            {"name": "a", "inner": {"width": "wide"}},
            "file: inner.width: input should be a valid integer",
        ),
        (
            {"name": "a", "operator": {"kind": "unett"}},
            "file: operator.kind: unknown operator 'unett'",
        ),
        (
            {"name": "a", "operator": {"kind": "unet", "widht": 3}},
            "file: operator: unknown setting 'widht'. Did you mean 'width'?",
        ),
        ({"name": "a", "operator": {"width": 3}}, "file: operator.kind: expected the name of one"),
        ([1, 2], "file: expected a mapping"),
    ],
)
def test_messages(tree, text):
    with pytest.raises(ConfigError) as error:
        validate(Outer, tree, "file")
    assert text in str(error.value)


def test_all_faults_at_once():
    with pytest.raises(ConfigError) as error:
        validate(Outer, {"nmae": 1, "inner": {"width": 1.5}})
    assert len(str(error.value).splitlines()) == 3


def test_round_trip_through_yaml():
    settings = validate(Outer, {"name": "a", "operator": {"kind": "unet", "width": 8}})
    again = validate(Outer, parse_yaml(to_yaml(settings), "text"))
    assert again == settings
    assert again.operator.kind == "unet"
    assert again.operator.width == 8


def test_overrides():
    tree = {"name": "a", "inner": {"width": 4}, "list": [{"x": 1}, {"x": 2}]}
    out = override(tree, ["inner.rate=1e-4", "name=b", "list.1.x=[3, 4]", "new.deep.er=true"])
    assert out["inner"] == {"width": 4, "rate": 1e-4}
    assert out["list"][1]["x"] == [3, 4]
    assert out["new"] == {"deep": {"er": True}}
    assert tree == {"name": "a", "inner": {"width": 4}, "list": [{"x": 1}, {"x": 2}]}


@pytest.mark.parametrize("assignment", ["width", "=3", "a..b=1", "name.x=1", "list.9.x=1", "a={b"])
def test_overrides_that_cannot_be(assignment):
    with pytest.raises(ConfigError):
        override({"name": "a", "list": []}, [assignment])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E4", 1e4),
        ("5", 5),
        ("-2.5e+3", -2500.0),
        ("e4", "e4"),
        ("1.2.3e4", "1.2.3e4"),
    ],
)
def test_numbers(text, value):
    assert parse_yaml(text, "text") == value


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2", "!!python/object/apply:os.getcwd []"])
def test_yaml_that_is_refused(text):
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse_yaml(text, "text")


def test_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Inner().width = 3
