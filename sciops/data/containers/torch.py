"""Files of ``torch.save``: tensors, or a dictionary of them; loaded without running any code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.data import budget
from sciops.data.damage import DAMAGE, said
from sciops.data.layout import Stored

KEY = "tensor"  # of a file that holds one tensor


def is_container(path: Path) -> bool:
    """A zip archive with torch's ``data.pkl``."""
    try:
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except DAMAGE:
        return False


def arrays(path: Path) -> dict[str, Stored]:
    """The tensors, by their key."""
    return {
        key: Stored(str(path), "torch", key, ("?",) * a.ndim, a.shape, a.dtype.str)
        for key, a in members(path).items()
    }


def members(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors as numpy views of the file."""
    import torch

    _require_stored(path)
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise DataError(path, "no such file") from None
    except Exception as error:  # torch raises many kinds on foreign bytes
        raise DataError(
            path,
            f"not a torch file of plain tensors ({type(error).__name__}); "
            f"pickled objects are refused",
        ) from None
    tree = {KEY: tree} if isinstance(tree, torch.Tensor) else tree
    if not isinstance(tree, dict) or not all(isinstance(v, torch.Tensor) for v in tree.values()):
        raise DataError(
            path, f"expected a tensor or a dictionary of tensors, got {type(tree).__name__}"
        )
    try:
        return {str(k): v.detach().numpy() for k, v in tree.items()}
    except (TypeError, RuntimeError) as error:  # sparse, quantised, bfloat16
        raise DataError(path, f"holds tensors that are not plain arrays ({error})") from None


def load(stored: Stored) -> Any:
    """One tensor, as a view of the file."""
    found = members(Path(stored.path))
    if stored.key not in found:
        raise DataError(stored.path, f"no tensor {stored.key!r}, only {sorted(found)}")
    tensor = np.asarray(found[stored.key])
    if 0 in tensor.strides:  # one number for many entries: whoever copies it needs them all
        budget.require(tensor.shape, tensor.itemsize, stored.path, f"the tensor {stored.key}")
    return tensor


def _require_stored(path: Path) -> None:
    """DataError unless the members lie uncompressed in the archive, as torch writes them."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except FileNotFoundError:
        raise DataError(path, "no such file") from None
    except DAMAGE as error:
        raise DataError(path, f"a damaged zip archive ({said(error)})") from None
    if any(
        m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size for m in members
    ):
        raise DataError(path, "not a file of torch: its members are compressed; refused")
