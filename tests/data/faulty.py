"""Small files written by plain h5py and json calls: a sound one, and each fault alone.

The sound file holds five trajectories of eight frames on a periodic 16 x 12 grid: a density and an
energy that are carried along (their sums never change), a pressure, a velocity without divergence,
a mask and a parameter; beside it splits, statistics of the density, and a manifest.  It has The
Well's layout and the array `sciops_contents`, which makes it a file of the format sciops; without
that array it is one of The Well.
"""

from __future__ import annotations

import hashlib
import json

import h5py
import numpy as np

N, T, X, Y = 5, 8, 16, 12
SPLIT = {"train": [0, 1, 2], "valid": [3], "test": [4]}


def text(names):
    return np.array(names, dtype=h5py.string_dtype())


def contents():
    """Arrays by their place in the file."""
    x = (np.arange(X) + 0.5) / X
    y = 2.0 * (np.arange(Y) + 0.5) / Y
    t = 0.1 * np.arange(T)
    phase = np.arange(N)[:, None, None, None] + t[None, :, None, None]
    wave = np.sin(2 * np.pi * (x[:, None] - phase)) * np.cos(np.pi * (y - 0.3 * phase))
    stream = np.sin(2 * np.pi * (x[:, None] + 0.7 * phase)) * np.sin(np.pi * (y - phase))
    u = (np.roll(stream, -1, 3) - np.roll(stream, 1, 3)) * Y / 4
    v = -(np.roll(stream, -1, 2) - np.roll(stream, 1, 2)) * X / 2
    arrays = {
        "dimensions/x": x,
        "dimensions/y": y,
        "dimensions/time": t,
        "scalars/nu": np.array([0.1, 0.2, 0.3, 0.4, 0.5]),
        "t0_fields/density": 1.0 + 0.3 * wave,
        "t0_fields/energy": 3.0 - 0.5 * wave,
        "t0_fields/pressure": 2.0 + 0.5 * wave**2,
        "t0_fields/mask": np.ones((X, Y)),
        "t1_fields/velocity": np.stack([u, v], axis=-1),
    }
    return {k: a.astype(np.float32) if "fields" in k else a for k, a in arrays.items()}


def description():
    """What the file says of itself: the JSON text of `sciops_contents`."""
    axes = [
        {"name": name, "lower": 0.0, "upper": upper, "periodic": True, "unit": "m"}
        | {"coordinates": contents()[f"dimensions/{name}"].tolist()}
        for name, upper in (("x", 1.0), ("y", 2.0))
    ]
    lists = {"components": [], "constant_along": []}
    common = {"symmetry": None, "unit": None, "location": "cell", "frames": 1, "domain": 0}
    variables, arrays = [], {}
    for key in contents():
        group, name = key.split("/")
        if group == "scalars":
            more = {"name": name, "role": "param", "time_varying": False, "domain": None}
            variables.append(common | lists | more | {"location": None})
        elif group != "dimensions":
            more = {"name": name, "role": "geometry" if name == "mask" else "state"}
            more |= {
                "components": [2] if name == "velocity" else [],
                "time_varying": name != "mask",
            }
            variables.append(common | lists | more)
            lead = [] if name == "mask" else ["sample", "time"]
            end = ["component"] if name == "velocity" else []
            arrays[name] = [{"key": key, "axes": [*lead, "x", "y", *end]}]
    schema = {"schema_version": 1, "name": "waves", "dt": 0.1, "time_unit": None, "feedback": []}
    schema |= {"domains": [{"axes": axes}], "variables": variables, "boundary": []}
    part = {"n_samples": N, "frames": T, "times": "dimensions/time", "lengths": None}
    part |= {"params": {"nu": "scalars/nu"}, "arrays": arrays, "subset": None}
    words = {"attributes": {}, "provenance": {}, "notes": []}
    return {"version": 1, "schema": schema, "parts": [part]} | words


def nothing(_):
    """No change."""


def write(path, change=nothing, describe=nothing, edit=nothing, own=True):
    """Write the file.

    `change` works on the arrays, `describe` on the description before they are written, and `edit`
    on the open file after; `own`: whether the file describes itself.
    """
    arrays, tree = contents(), description()
    change(arrays)
    describe(tree)
    with h5py.File(path, "w") as f:
        f.attrs.update(
            dataset_name="waves",
            grid_type="cartesian",
            n_spatial_dims=2,
            n_trajectories=N,
            simulation_parameters=text(["nu"]),
        )
        for key, array in arrays.items():
            f[key] = array
            moving = "fields" in key and key != "t0_fields/mask"
            f[key].attrs["sample_varying"] = moving or key.startswith("scalars")
            f[key].attrs["time_varying"] = moving
            if "fields" in key:
                f[key].attrs["dim_varying"] = [True, True]
        f["dimensions"].attrs["spatial_dims"] = text(["x", "y"])
        for name in ("x", "y"):
            g = f.create_group(f"boundary_conditions/{name}_periodic")
            g.attrs.update(bc_type="PERIODIC", associated_dims=text([name]))
            g.attrs["associated_fields"] = text([])
        for rank in range(3):
            group = f.require_group(f"t{rank}_fields")
            group.attrs["field_names"] = text(list(group))
        if own:
            f["sciops_contents"] = np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8)
        edit(f)
    return path


def write_splits(path, parts=None, digest=None):
    parts = parts or SPLIT
    named = json.dumps({k: v for k, v in sorted(parts.items())})
    tree = {"rule": "by hand", "seed": None, "parts": parts}
    tree["hash"] = digest or hashlib.sha256(named.encode()).hexdigest()
    path.with_suffix(".splits.json").write_text(json.dumps(tree))
    return tree["hash"]


def write_stats(path, fitted_on, factor=1.0):
    with h5py.File(path) as f:
        u = f["t0_fields/density"][:3].astype(np.float64)
    values = {"mean": u.mean(), "std": u.std() * factor, "rms": np.sqrt((u**2).mean())}
    values |= {"min": u.min(), "max": u.max()}
    density = {"count": u.size} | {k: [float(v)] for k, v in values.items()}
    tree = {"fitted_on": fitted_on, "variables": {"density": density}}
    path.with_suffix(".stats.json").write_text(json.dumps(tree))


def write_manifest(path):
    blob = path.read_bytes()
    tree = {"file": path.name, "bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    path.with_suffix(".manifest.json").write_text(json.dumps(tree))


def clean(folder, **settings):
    """The sound file and all that lies beside it."""
    path = write(folder / "waves.hdf5", **settings)
    write_stats(path, write_splits(path))
    write_manifest(path)
    return path


def values(key, index, new):
    """A file in which some entries of one array are others."""

    def change(arrays):
        arrays[key] = arrays[key].copy()
        arrays[key][index] = new(arrays[key]) if callable(new) else new

    return lambda folder: clean(folder, change=change)


def edited(edit, own=True):
    """A file whose structure was changed by h5py calls."""
    return lambda folder: clean(folder, edit=edit, own=own)


def described(describe):
    """A file that says other things of itself."""
    return lambda folder: clean(folder, describe=describe)


def replaced(file, key, data):
    """Another array in the place of one, with the attributes that it had."""
    attributes = dict(file[key].attrs)
    del file[key]
    file[key] = data
    file[key].attrs.update(attributes)


def axis(number, **settings):
    """Other properties of x (0) or y (1)."""
    return described(lambda tree: tree["schema"]["domains"][0]["axes"][number].update(settings))


def placed(name, change):
    """Other positions along an axis, in the array and in the description."""
    x = contents()[f"dimensions/{name}"]
    change(x)

    def describe(tree):
        axes = {a["name"]: a for a in tree["schema"]["domains"][0]["axes"]}
        axes[name]["coordinates"] = x.tolist()

    return lambda folder: clean(
        folder, change=lambda arrays: arrays.update({f"dimensions/{name}": x}), describe=describe
    )


def entry(k, value):
    """Sets one entry."""
    return lambda x: x.__setitem__(k, value)


def both_ends(x):
    """From 0 to 1, both included: what np.linspace gives."""
    x[:] = np.linspace(0, 1, len(x))


def condition(axis, side, kind):
    return {"axis": axis, "side": side, "kind": kind, "variables": [], "value": None}


def conditions(*several):
    """A file with these boundary conditions."""
    return described(lambda tree: tree["schema"].update(boundary=[condition(*c) for c in several]))


def without_boundary(tree):
    for a in tree["schema"]["domains"][0]["axes"]:
        a["periodic"] = None


def contradicts_its_axis(tree):
    tree["schema"]["domains"][0]["axes"][0]["periodic"] = False
    tree["schema"]["boundary"] = [condition("x", side, "periodic") for side in ("lower", "upper")]


def sticky(tree):
    tree["schema"]["domains"][0]["axes"][0]["periodic"] = None
    tree["schema"]["boundary"] = [condition("x", side, "sticky") for side in ("lower", "upper")]


def one_frame_less(folder):
    path = clean(folder, describe=lambda tree: tree["parts"][0].update(frames=T - 1))
    path.with_suffix(".stats.json").unlink()
    return path


def both_ends_in_values(f):
    """The last point repeats the first, and nothing but the values tells."""
    for key in ("t0_fields/density", "t0_fields/energy", "t0_fields/pressure"):
        u = f[key][...]
        u[:, :, -1] = u[:, :, 0]
        f[key][...] = u + (f[key][...].mean((2, 3)) - u.mean((2, 3)))[:, :, None, None]
    u = f["t1_fields/velocity"][...]
    u[:, :, -1] = u[:, :, 0]
    f["t1_fields/velocity"][...] = u


def swapped(f):
    u = f["t1_fields/velocity"]
    u[...] = u[...][..., ::-1]


def claims(tree):
    tree["attributes"]["equation"] = "incompressible Navier-Stokes"


def one_time_more(arrays):
    arrays["dimensions/time"] = 0.1 * np.arange(T + 1)


def negative_density(arrays):
    u = arrays["t0_fields/density"]
    u[3, 2, 1, 1] += u[3, 2, 1, 0] + 1e-3
    u[3, 2, 1, 0] = -1e-3


def damaged_chunk(folder):
    """A chunk of the density is no lzf data any more."""

    def edit(f):
        whole, attributes = f["t0_fields/density"][...], dict(f["t0_fields/density"].attrs)
        del f["t0_fields/density"]
        d = f.create_dataset(
            "t0_fields/density", data=whole, chunks=(1, T, X, Y), compression="gzip"
        )
        d.attrs.update(attributes)
        d.id.write_direct_chunk((2, 0, 0, 0), b"\x01\x02\x03\x04" * 20)

    path = write(folder / "waves.hdf5", edit=edit)
    write_splits(path)
    write_manifest(path)
    return path


def other_splits(parts=None, digest=None):
    def make(folder):
        path = clean(folder)
        write_stats(path, write_splits(path, parts, digest))
        return path

    return make


def wrong_stats(folder):
    path = clean(folder)
    write_stats(path, write_splits(path), factor=1.01)
    return path


def stale_stats(folder):
    path = clean(folder)
    write_stats(path, "0" * 64)
    return path


def no_stats(folder):
    path = clean(folder)
    path.with_suffix(".stats.json").write_text('{"fitted_on": "x", "variables": {"density": 3}}')
    return path


def changed_file(folder):
    """One byte of the file is another; the array still is finite."""
    path = clean(folder)
    with h5py.File(path, "r+") as f:
        f["t0_fields/pressure"][4, 3, 2, 1] += 0.01
    return path


def copied_sample(to, of, keys=("density", "energy", "pressure")):
    def change(arrays):
        for key in [f"t0_fields/{k}" for k in keys] + ["t1_fields/velocity"]:
            arrays[key][to] = arrays[key][of]
        arrays["scalars/nu"][to] = arrays["scalars/nu"][of]

    return lambda folder: clean(folder, change=change)


def copied_frame(arrays):
    for key in arrays:
        if "fields" in key and "mask" not in key:
            arrays[key][1, 5] = arrays[key][1, 2]


def copied_with_other_parameter(arrays):
    for key in arrays:
        if "fields" in key and "mask" not in key:
            arrays[key][1] = arrays[key][0]


def leaking(arrays):
    """A fourth of the mass is gone at the end."""
    arrays["t0_fields/density"] *= np.linspace(1.0, 0.75, T, dtype=np.float32)[:, None, None]


def heating(arrays):
    arrays["t0_fields/energy"] *= np.linspace(1.0, 1.2, T, dtype=np.float32)[:, None, None]


def far_from_zero(arrays):
    arrays["t0_fields/pressure"] = (arrays["t0_fields/pressure"] + 1e5).astype(np.float32)


def everywhere(arrays):
    arrays["t0_fields/pressure"][:] = 7.0


def moved(arrays):
    """The arrays say other positions than the description."""
    arrays["dimensions/x"] = arrays["dimensions/x"] + 0.01


# name -> (the one code that is to be found, what writes the file)
FAULTS = {
    "a field that is listed and missing": (
        "schema",
        edited(lambda f: f["t0_fields"].__delitem__("energy")),
    ),
    "a field of another shape": (
        "schema",
        edited(lambda f: replaced(f, "t0_fields/density", np.ones((N, T, Y, X), np.float32))),
    ),
    "a description that is no JSON": (
        "schema",
        edited(lambda f: f["sciops_contents"].__setitem__(0, 1)),
    ),
    "a damaged chunk": ("unreadable", damaged_chunk),
    "NaN": ("not-finite", values("t0_fields/density", (2, 3, 4, 5), np.nan)),
    "infinity": ("not-finite", values("t1_fields/velocity", (0, 7, 1, 2, 1), np.inf)),
    "a constant frame": ("constant-frame", values("t0_fields/pressure", (1, 4), 2.0)),
    "a constant variable": ("constant-variable", lambda d: clean(d, change=everywhere)),
    "a repeated frame": ("repeated-frame", lambda d: clean(d, change=copied_frame)),
    "a repeated trajectory": ("repeated-trajectory", copied_sample(2, 0)),
    "one trajectory, two parameters": (
        "parameter-contradiction",
        lambda d: clean(d, change=copied_with_other_parameter),
    ),
    "coordinates that go back": ("coordinates", placed("x", entry(5, 0.1))),
    "coordinates with NaN": ("coordinates", placed("y", entry(5, np.nan))),
    "one coordinate moved": ("coordinates", placed("x", entry(5, 0.36))),
    "two lists of coordinates": ("coordinates", lambda d: clean(d, change=moved)),
    "coordinates that go back, in The Well's layout": (
        "coordinates",
        lambda d: clean(d, change=lambda a: a["dimensions/x"].__setitem__(5, 0.1), own=False),
    ),
    "an end that fits no rule": ("domain-ends", axis(0, upper=1.3)),
    "times that go back": ("time-order", values("dimensions/time", 4, 0.25)),
    "a time that is NaN": ("time-order", values("dimensions/time", 4, np.nan)),
    "a missing frame": (
        "time-gap",
        values("dimensions/time", slice(5, None), lambda t: t[5:] + 0.1),
    ),
    "another dt": ("time-step", described(lambda tree: tree["schema"].update(dt=0.09))),
    "one time more than frames": ("frame-count", lambda d: clean(d, change=one_time_more)),
    "one time more than frames, in The Well's layout": (
        "frame-count",
        lambda d: clean(d, change=one_time_more, own=False),
    ),
    "one frame more than is told": ("frame-count", one_frame_less),
    "no boundary": ("boundary-missing", described(without_boundary)),
    "a wall on a periodic axis": ("boundary-contradiction", conditions(("y", "lower", "wall"))),
    "a periodic condition on an axis that is not": (
        "boundary-contradiction",
        described(contradicts_its_axis),
    ),
    "a condition of no known kind": ("boundary-kind", described(sticky)),
    "a periodic axis with both ends": ("periodic-endpoint", placed("x", both_ends)),
    "a periodic axis whose values show both ends": (
        "periodic-endpoint",
        edited(both_ends_in_values),
    ),
    "mass that is lost": ("mass-drift", lambda d: clean(d, change=leaking)),
    "energy that is won": ("energy-drift", lambda d: clean(d, change=heating)),
    "components in the wrong order": (
        "divergence",
        lambda d: clean(d, describe=claims, edit=swapped),
    ),
    "a copy in two parts": ("leakage", copied_sample(4, 1)),
    "a sample in two parts": (
        "leakage",
        other_splits({"train": [0, 1, 2], "valid": [3], "test": [2, 4]}),
    ),
    "a sample that is not there": (
        "split-range",
        other_splits({"train": [0, 1, 2], "valid": [3], "test": [5]}),
    ),
    "a split that was edited": ("split-damaged", other_splits(digest="0" * 64)),
    "an empty part": ("split-damaged", other_splits({"train": [0, 1, 2, 3, 4], "test": []})),
    "a parameter that is NaN": ("parameter-not-finite", values("scalars/nu", 2, np.nan)),
    "an attribute against the values": (
        "parameter-contradiction",
        described(lambda tree: tree["attributes"].update(nu="0.7")),
    ),
    "a negative density": ("negative", lambda d: clean(d, change=negative_density)),
    "a negative pressure": ("negative", values("t0_fields/pressure", (3, 2, 1, 0), -1e-3)),
    "a mask of 2": ("mask-values", values("t0_fields/mask", (3, 4), 2.0)),
    "values too coarse for float32": ("precision", lambda d: clean(d, change=far_from_zero)),
    "a fill value": ("magnitude", values("t0_fields/pressure", (3, 2, 1, 0), 9.96921e36)),
    "wrong statistics": ("statistics-wrong", wrong_stats),
    "statistics of another split": ("statistics-stale", stale_stats),
    "damaged statistics": ("statistics-damaged", no_stats),
    "a changed file": ("manifest", changed_file),
}
