"""The memory allocator of the C library, told to keep large blocks.

glibc gives every block above 32 MB back to the kernel as soon as it is free, and the kernel hands
out zeroed pages anew, one fault each: for tensors of that size most of an operation's time.  Two
settings keep such blocks in the process (measured: docs/design_decisions.md).  The price is that
freed memory stays with the process until it ends.

The command line does this before `train`, `bench run` and `predict`, unless the environment says
``SCIOPS_KEEP_LARGE_BLOCKS=0``; `import sciops` never does.  A script of one's own asks for it:

    from sciops.core.memory import keep_large_blocks
    keep_large_blocks()
"""

from __future__ import annotations

import ctypes
import os
import platform

VARIABLE = "SCIOPS_KEEP_LARGE_BLOCKS"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 1 << 30


def keep_large_blocks() -> bool:
    """Keep freed blocks up to 1 GiB in the process; for the rest of its life.

    Returns
    -------
    bool
        Whether the C library took both settings: False where it is not glibc.  One alone would make
        blocks of a few MB slower, so the second is not tried where the first is refused.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST - 1)
    )


def keep_large_blocks_unless_told() -> bool:
    """`keep_large_blocks`, unless the environment variable SCIOPS_KEEP_LARGE_BLOCKS is 0."""
    return os.environ.get(VARIABLE, "1") != "0" and keep_large_blocks()
