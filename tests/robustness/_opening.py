"""What people do with a file that they were given, in a process of its own.

    python _opening.py FD      one path a line on stdin, one JSON object a line on the descriptor FD

A file is opened, described, and of every variable one frame of the first and the last sample is
read, directly and through the labelled view.  The object says how that ended:

    answer    everything was read, in the shapes and types that the layout promised
    refused   a `SciopsError`; `text` is what the user would read
    defect    anything else; `text` is the traceback

and how many seconds of CPU time and megabytes it took; SIGPROF ends the process after `SECONDS`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

MEMORY = 1 << 30  # bytes of address space that a file may take: far above what is allowed
BUDGET = "256MiB"  # of one read; half of what the machine has free would not be reproducible
SECONDS = 5.0  # of CPU time: other processes do not make a file slow; one that needs more hangs
READY = "ready"


def main(descriptor: int) -> None:
    """Answer until stdin ends."""
    _import_everything()
    limit = _status("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(descriptor, "w") as answers:
        print(READY, file=answers, flush=True)
        for line in sys.stdin:
            path, whole = json.loads(line)
            print(json.dumps(attempt(os.fsdecode(bytes.fromhex(path)), whole)), file=answers)
            answers.flush()


def attempt(path: str, whole: bool) -> dict[str, object]:
    """How opening one file ends; `whole`: whether all of it is read."""
    from sciops.core.errors import SciopsError

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    held, began = _status("VmRSS"), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        end, text = "answer", use(path, whole)
    except SciopsError as error:
        end, text = "refused", str(error)
    except BaseException:
        end, text = "defect", traceback.format_exc()
    signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.process_time() - began
    megabytes = (_status("VmHWM") - held) / 1e6
    _forget()
    return {"end": end, "text": text, "seconds": seconds, "megabytes": megabytes}


def use(path: str, whole: bool) -> str:
    """Everything of a file that does not need all of it; returns its description."""
    import numpy as np

    from sciops.data import reader
    from sciops.data.describe import describe
    from sciops.data.open import open_layout
    from sciops.data.overview import tree
    from sciops.data.xarray_backend import as_dataset

    layout = open_layout(path)
    text = describe(layout)
    text.encode()  # it can be printed
    assert not set(map(ord, text)) & {*range(9), *range(11, 32), 127}, "control characters"
    json.dumps(tree(layout, measure=False), allow_nan=True)
    labelled = as_dataset(layout)
    for v in layout.schema.variables:
        if v.domain is None:
            assert labelled[v.name].shape == (layout.n_samples,)
            continue
        for sample in dict.fromkeys((0, layout.n_samples - 1)):
            frames = slice(None) if whole else slice(0, 1)
            values = reader.read(layout, v.name, sample, frames)
            length = int(layout.lengths[sample]) if whole else 1
            shape = (*((length,) if v.time_varying else ()), *v.domain.shape, *v.components)
            assert values.shape == shape, f"{v.name}: {values.shape}, promised {shape}"
            assert values.dtype.isnative, f"{v.name}: {values.dtype}"
            one = labelled[v.name].isel(sample=sample)
            view = (one.isel(time=slice(0, length)) if v.time_varying else one).values
            assert np.array_equal(view, values, equal_nan=values.dtype.kind in "fc")
    return text


def _import_everything() -> None:
    import scipy.io  # noqa: F401
    import torch
    import xarray  # noqa: F401
    import zarr  # noqa: F401

    from sciops.core import resolve
    from sciops.data.open import get

    torch.set_num_threads(1)
    for name in resolve.names("formats"):
        get(name)


def _forget() -> None:
    """Nothing that one file left behind meets the next."""
    from sciops.data import blocks, hdf5, reader

    hdf5.close_all()
    hdf5._looked_at.clear()
    reader._sources.clear()
    blocks._kept.clear()
    blocks._met.clear()


def _status(name: str) -> int:
    """Bytes that the system counts for this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(name)


if __name__ == "__main__":
    main(int(sys.argv[1]))
