"""zarr stores (folders of version 2 or 3), through the optional package zarr.

Codecs that run code (pickle) or that are not known are refused before anything is decoded.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sciops.core.errors import DataError, MissingPackage
from sciops.data import budget
from sciops.data.containers._zarr_chunks import guarded
from sciops.data.damage import structure
from sciops.data.inflate import CODECS as COMPRESSORS
from sciops.data.layout import Stored

METADATA = ("zarr.json", ".zgroup", ".zarray")
NAMES = "_ARRAY_DIMENSIONS"
LONGEST = (1 << 63) - 1  # entries along an axis that an index can count
SMALL = 1 << 24  # bytes of a metadata file
CODECS = {
    "adler32", "astype", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta",
    "fixedscaleoffset", "fletcher32", "gzip", "lz4", "lzma", "packbits", "quantize",
    "sharding_indexed", "shuffle", "transpose", "zfpy", "zlib", "zstd",
}  # fmt: skip


def is_container(path: Path) -> bool:
    """Whether it is a folder with the metadata of a store."""
    return path.is_dir() and any((path / name).is_file() for name in METADATA)


def arrays(path: Path) -> dict[str, Stored]:
    """The numeric arrays, by their path in the store."""
    found: dict[str, Stored] = {}
    with structure(path):
        _refuse_codecs(path)
        for key, array in _walk(path, _open(path), ""):
            if array.dtype.kind in "fiucb":
                found[key] = _stored(path, key, array)
    return found


def _stored(path: Path, key: str, array: Any) -> Stored:
    filters = tuple(type(c).__name__ for c in array.compressors)
    shape = tuple(int(n) for n in array.shape)
    chunks = tuple(int(n) for n in array.chunks)
    if max((*shape, *chunks), default=0) > LONGEST:
        raise DataError(path, f"{key} declares the shape {shape}, chunks {chunks}")
    axes = ("?",) * len(shape)
    return Stored(str(path), "zarr", key, axes, shape, array.dtype.str, None, chunks, filters)


def labels(path: Path) -> dict[str, tuple[tuple[str, ...] | None, dict[str, Any]]]:
    """Key -> (names of the dimensions, attributes); None where the array names no dimensions.

    Version 3 has the names in its metadata, version 2 by xarray's habit in an attribute.
    """
    found: dict[str, tuple[tuple[str, ...] | None, dict[str, Any]]] = {}
    with structure(path):
        _refuse_codecs(path)
        for key, array in _walk(path, _open(path), ""):
            attributes = dict(array.attrs)
            names: Any = getattr(array.metadata, "dimension_names", None) or attributes.get(NAMES)
            whole = isinstance(names, (list, tuple)) and len(names) == len(array.shape)
            found[key] = (tuple(map(str, names)) if whole else None, attributes)
    return found


def load(stored: Stored) -> Any:
    """One array of the store."""
    import zarr

    path, key = Path(stored.path), stored.key
    with structure(path):
        root = _open(path)
        found = root if isinstance(root, zarr.Array) else root[key]
        budget.require(found.chunks, found.dtype.itemsize, path, f"one chunk of {key}")
        return guarded(path, key, found)


def _open(path: Path) -> Any:
    try:
        import zarr
    except ImportError:
        raise MissingPackage("zarr", "zarr", "reading a zarr store") from None
    try:
        if _is_array(path):
            return zarr.open_array(str(path), mode="r")
        return zarr.open_group(str(path), mode="r", use_consolidated=False)  # copies may differ
    except Exception as error:  # zarr raises many kinds on damaged metadata
        raise DataError(path, f"a damaged zarr store ({type(error).__name__}: {error})") from None


def _walk(path: Path, node: Any, prefix: str) -> list[tuple[str, Any]]:
    import zarr

    if isinstance(node, zarr.Array):
        return [(prefix or "array", node)]
    try:
        members = list(node.members())
    except Exception as error:
        raise DataError(path, f"a damaged zarr store ({type(error).__name__}: {error})") from None
    return [one for k, m in members for one in _walk(path, m, f"{prefix}/{k}".strip("/"))]


def _is_array(path: Path) -> bool:
    if (path / ".zarray").is_file():
        return True
    tree = _metadata(path / "zarr.json") if (path / "zarr.json").is_file() else {}
    return tree.get("node_type") == "array"


def _metadata(file: Path) -> dict[str, Any]:
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(file, f"not JSON ({error})") from None
    if not isinstance(tree, dict):
        raise DataError(file, f"metadata must be an object, got {type(tree).__name__}")
    return tree


def _refuse_codecs(path: Path) -> None:
    """DataError where a codec is not in `CODECS`, compresses twice, or a link leaves the store."""
    root = path.resolve()
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            file = Path(folder, name)
            if file.is_symlink() and root not in Path(os.path.realpath(file)).parents:
                raise DataError(file, "a link that leaves the store, which is refused")
        for name in set(METADATA) & set(files):
            file = Path(folder, name)
            if file.stat().st_size > SMALL:
                raise DataError(file, f"metadata of more than {SMALL >> 20} MiB")
            names = [c.removeprefix("numcodecs.") for c in _codecs(_metadata(file))]
            unknown = [c for c in names if c not in CODECS]
            if unknown:
                raise DataError(
                    file, f"the codec {unknown[0]!r:.60} is refused; known: {sorted(CODECS)}"
                )
            if sum(c in COMPRESSORS for c in names) > 1 + ("sharding_indexed" in names):
                raise DataError(file, f"compresses more than once ({names}), which is refused")


def _codecs(tree: dict[str, Any]) -> list[str]:
    """Names of all codecs in the metadata of an array."""
    listed = [tree.get("compressor")]
    for key in ("filters", "codecs", "index_codecs"):
        several = tree.get(key)
        listed += several if isinstance(several, list) else []
    names = []
    for entry in listed:
        if isinstance(entry, dict):
            names.append(str(entry.get("id", entry.get("name"))))
            inside = entry.get("configuration")
            names += _codecs(inside) if isinstance(inside, dict) else []
        elif entry is not None:
            names.append(str(entry))
    return names
