"""Options by which a command line says what own arrays mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sciops.data.layout import Layout
    from sciops.data.mapping import Mapping

MAP = typer.Option(None, "--map", help="YAML that says what the arrays mean; goes before detection")
DIMS = typer.Option(
    None, "--dims", help="array and its stored axes, u=sample,time,y,x; may be repeated"
)
INPUTS = typer.Option(None, "--inputs", help="with --dims: arrays that are given, a,b")
TARGETS = typer.Option(None, "--targets", help="with --dims: arrays to predict")
STATES = typer.Option(None, "--states", help="with --dims: arrays that evolve")
PARAMS = typer.Option(None, "--params", help="with --dims: arrays of one number a sample")


def mapping(
    map: str | None = None,
    dims: list[str] | None = None,
    inputs: str | None = None,
    targets: str | None = None,
    states: str | None = None,
    params: str | None = None,
) -> Mapping | None:
    """The mapping that the options make; None where there are none of them.

    Raises
    ------
    ConfigError
        If they contradict each other, or cannot be understood.
    """
    from sciops.core.errors import ConfigError
    from sciops.data.mapping import mapping_of

    given = {"inputs": inputs, "targets": targets, "states": states, "params": params}
    roles = {k: v for k, v in given.items() if v}
    if map is not None:
        if dims or roles:
            raise ConfigError("--map says all; leave out --dims and the roles")
        return mapping_of(map)
    if not dims:
        if roles:
            raise ConfigError(f"--{next(iter(roles))} goes with --dims, as in --dims u=sample,y,x")
        return None
    axes = {}
    for one in dims:
        key, equals, words = one.rpartition("=")
        if not equals or not key:
            raise ConfigError(f"--dims: expected array=axes, as in u=sample,time,y,x, got {one!r}")
        axes[key.strip()] = words
    return mapping_of({"dims": axes, **roles})


def opened(
    path: str,
    format: str | None = None,
    map: str | None = None,
    dims: list[str] | None = None,
    inputs: str | None = None,
    targets: str | None = None,
    states: str | None = None,
    params: str | None = None,
) -> Layout:
    """The data set at `path`, after the mapping where the options give one."""
    from sciops.data.open import open_layout

    return open_layout(path, format, mapping(map, dims, inputs, targets, states, params))


def arguments(
    map: str | None = None,
    dims: list[str] | None = None,
    inputs: str | None = None,
    targets: str | None = None,
    states: str | None = None,
    params: str | None = None,
) -> list[str]:
    """The same options for a child process."""
    single = {"map": map, "inputs": inputs, "targets": targets, "states": states, "params": params}
    words = [word for one in dims or [] for word in ("--dims", one)]
    return words + [word for k, v in single.items() if v for word in (f"--{k}", v)]
