"""How far the solutions of a data set on n points lie from those on 2 n points of the same media.

    python benchmarks/grid_distance.py rough_test_32.hdf5 rough_test_64.hdf5

Prints the mean over samples of ||u_n - mean_2 u_2n|| / ||mean_2 u_2n|| (Euclidean norms), where
mean_2 averages over the 2^D cells in a cell.  An operator that has learned the finer grid cannot be
expected to be closer than that on the coarser one.
"""

from __future__ import annotations

import argparse

import numpy as np

import sciops


def main() -> None:
    """Read, average, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("coarse")
    parser.add_argument("fine")
    parser.add_argument("--variable", default="solution")
    given = parser.parse_args()
    u, v = (
        np.asarray(sciops.open_dataset(path)[given.variable], np.float64)
        for path in (given.coarse, given.fine)
    )  # (samples, *N), (samples, *2 N)
    for axis in range(1, u.ndim):
        v = (
            v.take(range(0, v.shape[axis], 2), axis) + v.take(range(1, v.shape[axis], 2), axis)
        ) / 2
    if u.shape != v.shape:
        raise SystemExit(f"expected half as many points along each axis, got {u.shape}, {v.shape}")
    norms = [np.linalg.norm(a.reshape(len(a), -1), axis=1) for a in (u - v, v)]
    print(f"{np.mean(norms[0] / norms[1]):.4f}")


if __name__ == "__main__":
    main()
