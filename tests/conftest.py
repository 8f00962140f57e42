"""One thread for every test process: the arrays are small, and processes share the cores."""

from __future__ import annotations

import os

# Before torch is imported.  With two threads in each of several processes on two cores, OpenMP's
# threads wait for one another and a step was measured 50 times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
