"""Filters of HDF5 (compression, shuffling): their names, and what to install where one is missing.

The package hdf5plugin registers its filters when it is imported, which is done when a file first
asks for one that HDF5 does not have.
"""

from __future__ import annotations

from typing import Any

import h5py

FILTERS = {
    "gzip": h5py.h5z.FILTER_DEFLATE,
    "deflate": h5py.h5z.FILTER_DEFLATE,
    "lzf": h5py.h5z.FILTER_LZF,
    "szip": h5py.h5z.FILTER_SZIP,
    "shuffle": h5py.h5z.FILTER_SHUFFLE,
    "bzip2": 307,
    "blosc2": 32026,
    "blosc": 32001,
    "lz4": 32004,
    "bitshuffle": 32008,
    "zfp": 32013,
    "zstd": 32015,
}
NAMES = {code: name for name, code in FILTERS.items() if name != "gzip"}


def codes(dataset: h5py.Dataset) -> list[int]:
    """Numbers of the filters of a data set, in the order in which they write."""
    return [code for code, _ in _pipeline(dataset)]


def names(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Names of the filters of a data set; ``filter 12345`` where the number alone is known."""
    return tuple(NAMES.get(code, name or f"filter {code}") for code, name in _pipeline(dataset))


def _pipeline(dataset: h5py.Dataset) -> list[tuple[int, str]]:
    plist: Any = dataset.id.get_create_plist()
    found = [plist.get_filter(k) for k in range(plist.get_nfilters())]
    return [(int(f[0]), f[3].decode("utf-8", "replace")) for f in found]


def available(code: int) -> bool:
    """Whether a filter can be used, with hdf5plugin where that is installed."""
    if h5py.h5z.filter_avail(code):
        return True
    try:
        import hdf5plugin  # noqa: F401  registers its filters
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))


def missing(dataset_filters: tuple[str, ...]) -> str:
    """What to install where a filter of a data set is not there; else nothing."""
    for name in dataset_filters:
        known = [code for word, code in FILTERS.items() if word in name.lower()]
        if not known and name.startswith("filter "):
            known = [int(name.removeprefix("filter "))]
        if known and not available(known[0]):
            return (
                f"; the HDF5 filter {name!r} is missing, hdf5plugin has the usual ones: "
                f"pip install 'sciops[compress]'"
            )
    return ""
