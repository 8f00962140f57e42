"""The tensors of a module in a safetensors file: written whole or not at all, read without code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sciops.core.errors import DataError
from sciops.data.files import replacing

if TYPE_CHECKING:
    from torch import Tensor, nn


def write_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors by name, copied to the CPU first."""
    from safetensors.torch import save_file

    weights = {k: t.detach().to("cpu", copy=True).contiguous() for k, t in state.items()}
    with replacing(path) as temporary:
        save_file(weights, temporary)


def require_shapes(path: Path, module: nn.Module) -> None:
    """DataError unless a file holds tensors of the names and shapes of `module`; reads its header.

    The module may be on the device `meta`, so that nothing is allocated for settings that lie.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            there = {k: tuple(file.get_slice(k).get_shape()) for k in names}
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(path.parent, f"damaged model: {error}") from None
    wanted = {k: tuple(t.shape) for k, t in module.state_dict().items()}
    wrong = sorted(k for k in {*there, *wanted} if there.get(k) != wanted.get(k))
    if wrong:
        k = wrong[0]
        raise DataError(
            path.parent,
            f"the weights do not fit the settings: {k} has the shape {there.get(k)} in "
            f"{path.name}, {wanted.get(k)} by the settings (None: it is not there)",
        )


def read_weights(path: Path, module: nn.Module) -> None:
    """Put the tensors of a file that `write_weights` wrote into `module`.

    Raises
    ------
    DataError
        If the file is damaged, or belongs to a module of other settings; it names the folder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(path))
    except (ValueError, SafetensorError) as error:
        raise DataError(path.parent, f"damaged model: {error}") from None
    except RuntimeError as error:
        raise DataError(path.parent, f"the weights do not fit the settings: {error}") from None
