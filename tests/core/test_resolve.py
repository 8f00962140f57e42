"""Names to classes: files, `package.module:Class`, and what is not there."""

from __future__ import annotations

import pytest

from sciops.core import resolve
from sciops.core.errors import NotFound

SEVERAL = [(g, n) for g in resolve.GROUPS for n in resolve.names(g)]


@pytest.mark.parametrize(("group", "name"), SEVERAL)
def test_the_file_name_is_the_name(group, name):
    assert resolve.name_of(group, resolve.find(group, name)) == name


def test_helpers_are_not_plug_ins():
    assert not any(n.startswith("_") for _, n in SEVERAL)


def test_a_class_by_its_path():
    cls = resolve.find("operators", "sciops.operators.unet:Config")
    assert cls is resolve.find("operators", "unet")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unett", "Did you mean 'unet'"),
        ("os:getcwd", "not a OperatorConfig"),
        ("no.such.module:Thing", "cannot load"),
        ("sciops.operators.unet:Missing", "cannot load"),
    ],
)
def test_what_is_not_there(name, text):
    with pytest.raises(NotFound, match=text):
        resolve.find("operators", name)
