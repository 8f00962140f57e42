"""From a name in YAML or on the command line to a class.

The file name is the plug-in's name: ``unet`` in the group ``operators`` is the one concrete
subclass of that group's base class which ``sciops/operators/unet.py`` defines.  Outside the package
a name is ``package.module:Class`` or that of an entry point in the group ``sciops.operators``.
Nothing is registered and nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from sciops.core.errors import NotFound, did_you_mean

GROUPS = {
    "operators": ("sciops.operators", "sciops.core.operator:OperatorConfig"),
    "solvers": ("sciops.solvers", "sciops.core.solver:Solver"),
    "problems": ("sciops.problems", "sciops.core.problem:Problem"),
    "formats": ("sciops.data.formats", "sciops.data.layout:Format"),
    "writers": ("sciops.data.writers", "sciops.data.writers._writer:Writer"),
}


@cache
def _entries(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of a group; looking through all installed packages takes milliseconds."""
    return tuple(entry_points(group=f"sciops.{group}"))


def names(group: str) -> list[str]:
    """Sorted names of the plug-ins of a group: files of its folder, and entry points."""
    return sorted({*own_names(group), *(e.name for e in _entries(group))})


def own_names(group: str) -> list[str]:
    """Sorted names of the plug-ins that are files of this package."""
    package = importlib.import_module(GROUPS[group][0])
    found = (m.name for m in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def find(group: str, name: str) -> type:
    """The class that `name` stands for in `group`.

    Raises
    ------
    NotFound
        If there is no such plug-in, or the class is not of the group's kind.
    """
    base = _attribute(GROUPS[group][1])
    if ":" in name:
        return _checked(_attribute(name), base, name)
    for entry in _entries(group):
        if entry.name == name:
            return _checked(entry.load(), base, name)
    known = names(group)
    if name not in known:
        raise NotFound(
            f"unknown {group.removesuffix('s')} {name!r}; known: {', '.join(known)}."
            f"{did_you_mean(name, known)}"
        )
    return plug_in(importlib.import_module(f"{GROUPS[group][0]}.{name}"), base)


def name_of(group: str, cls: type) -> str:
    """The name by which `find` gives `cls` back."""
    package = GROUPS[group][0] + "."
    if cls.__module__.startswith(package):
        return cls.__module__.removeprefix(package)
    return f"{cls.__module__}:{cls.__qualname__}"


def plug_in(module: ModuleType, base: type) -> type:
    """The one concrete subclass of `base` that `module` defines."""
    found = [
        c
        for c in vars(module).values()
        if inspect.isclass(c)
        and issubclass(c, base)
        and c.__module__ == module.__name__
        and not inspect.isabstract(c)
        and not c.__name__.startswith("_")
    ]
    if len(found) != 1:
        raise NotFound(
            f"{module.__name__} must define exactly one {base.__name__}, "
            f"found {[c.__name__ for c in found]}"
        )
    return found[0]


def _attribute(path: str) -> type:
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise NotFound(f"cannot load {path!r} (package.module:Class): {error}") from error


def _checked(cls: object, base: type, name: str) -> type:
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise NotFound(f"{name!r} is not a {base.__name__} but {cls!r}")
    return cls
