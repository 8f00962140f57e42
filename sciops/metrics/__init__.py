r"""Metrics: how far a prediction p is from the truth y, per sample and variable.

    metric(pred, truth, schema, mask=None) -> (B, V, *extra)

    pred, truth   (B, C', *N')   fields in physical units
    schema        its V targets say which channels form one variable, and on which grid
    mask          broadcastable to (B, C', *N'), bool; False = not data; None = all is data

One number (or one row of numbers) for each sample and variable, in float64; averaging happens in
the table.  A metric is a public function of a file of this folder that carries the attributes

    perfect   its value where the prediction equals the truth
    units     "1", "of the variable" or "of the variable, squared"

and is called ``pointwise:relative_l2``, or ``relative_l2`` where that is unique.  One from outside
is called ``package.module:function``.  `metric` sets the attributes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from sciops.core.errors import NotFound, did_you_mean

Metric = Callable[..., Any]
F = TypeVar("F", bound=Metric)


def metric(perfect: float, units: str) -> Callable[[F], F]:
    """Mark a function as a metric: its value at equality, and the unit of its result."""

    def mark(function: F) -> F:
        function.perfect, function.units = float(perfect), units  # type: ignore[attr-defined]
        return function

    return mark


def names() -> list[str]:
    """Sorted full names ``file:function`` of the metrics of this folder."""
    return [f"{file}:{function}" for file in _files() for function in _metrics_of(file)]


def find(name: str) -> Metric:
    """The metric called `name`.

    Parameters
    ----------
    name
        ``pointwise:relative_l2``, or ``relative_l2`` where one file has it, or
        ``package.module:function``.

    Raises
    ------
    NotFound
        If there is no such metric, if a short name stands for several, or if a function from
        outside lacks the attribute `perfect`.
    """
    file, _, function = name.rpartition(":")
    if file and file not in _files():
        return _outside(name)
    known = names()
    found = [k for k in known if name in (k, k.partition(":")[2])]
    if len(found) == 1:
        file, _, function = found[0].partition(":")
        return getattr(_module(file), function)
    if found:
        raise NotFound(f"the metric {name!r} may be any of {', '.join(found)}; say which")
    hint = did_you_mean(name, known if file else [k.partition(":")[2] for k in known])
    raise NotFound(f"unknown metric {name!r}; known: {', '.join(known)}.{hint}")


def _files() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def _module(file: str) -> Any:
    return importlib.import_module(f"{__name__}.{file}")


def _metrics_of(file: str) -> list[str]:
    """Functions that the file itself defines, in alphabetical order."""
    module = _module(file)
    return sorted(
        name
        for name, value in vars(module).items()
        if callable(value)
        and hasattr(value, "perfect")
        and not name.startswith("_")
        and value.__module__ == module.__name__
    )


def _outside(name: str) -> Metric:
    module, _, function = name.rpartition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        hint = did_you_mean(name, names())
        raise NotFound(f"cannot load the metric {name!r}: {error}.{hint}") from error
    if not callable(found) or not hasattr(found, "perfect"):
        raise NotFound(
            f"{name!r} is not a metric: decorate it with "
            f"@sciops.metrics.metric(perfect=.., units=..)"
        )
    return found
