"""A trained preconditioner is a folder.

    model.safetensors   weights          config.yaml   preconditioner: {kind: .., settings}
    README.md           what it was trained on

Reading one runs no code from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from sciops.core.config import Settings, read_yaml
from sciops.core.errors import ConfigError, DataError
from sciops.data.files import write_text
from sciops.data.weights import write_weights

WEIGHTS, CONFIG = "model.safetensors", "config.yaml"


def save(folder: str | Path, kind: str, settings: Settings, module: nn.Module, card: str) -> Path:
    """Write the weights of `module` and what it was built from.

    Parameters
    ----------
    folder
        Made if it is not there; files in it of the same names are replaced.
    kind
        Name of the plug-in in `sciops.solvers` that `load` belongs to.
    settings
        Settings that build the module.
    card
        Text of README.md.
    """
    import yaml

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tree = {"preconditioner": {"kind": kind, **settings.model_dump(mode="json")}}
    write_text(folder / CONFIG, yaml.safe_dump(tree, sort_keys=False))
    write_text(folder / "README.md", card or f"# {kind}\n\nA sciops preconditioner.\n")
    write_weights(folder / WEIGHTS, module.state_dict())
    return folder


def settings_of(folder: str | Path, kind: str) -> dict[str, Any]:
    """The settings in a folder that `save` wrote for `kind`.

    Raises
    ------
    DataError, ConfigError
        If the folder holds no preconditioner of that kind.
    """
    folder = Path(folder)
    missing = [f for f in (WEIGHTS, CONFIG) if not (folder / f).is_file()]
    if missing:
        raise DataError(folder, f"not a trained preconditioner: {', '.join(missing)} missing")
    tree = read_yaml(folder / CONFIG).get("preconditioner")
    if not isinstance(tree, dict) or tree.get("kind") != kind:
        found = tree.get("kind") if isinstance(tree, dict) else tree
        raise ConfigError(f"{folder / CONFIG}: expected a preconditioner {kind!r}, got {found!r}")
    return {k: v for k, v in tree.items() if k != "kind"}
