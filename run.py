#!/usr/bin/env python3
"""Set the project up and run it; needs Python 3.11 or later and nothing else.

    python3 run.py demo                                a small example, from data to report
    python3 run.py test [--slow] [pytest arguments]    the tests; --slow adds the slow ones
    python3 run.py docs [sphinx-build arguments]       the documentation, into docs/_build/html

Everything is installed into .venv beside this file: torch first and alone, then the project with
the versions of constraints.txt. The first call takes minutes, later calls start at once, and a
change of pyproject.toml or constraints.txt brings the environment up to date. A broken or half-made
.venv is made again.

SCIOPS_TORCH_INDEX names the index torch is taken from, for example
https://download.pytorch.org/whl/cpu; .venv remembers it, and another value makes .venv again.
Unset, pip's own configuration (PIP_* variables, pip.conf) decides, as for all other packages.
"""

import collections
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036  (said here, before an older Python reads on)
    sys.exit("sciops needs Python 3.11 or later; this is Python " + platform.python_version())

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "sciops-stamp.json"  # written after success only
UNFINISHED = VENV / "sciops-unfinished"  # there while pip works; left behind by a set-up cut short
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
EXTRAS = {"demo": {"viz"}, "test": {"viz", "test"}, "docs": {"viz", "docs"}}
SLOW_EXTRAS = {"compress", "dask", "onnx", "zarr"}  # what the slow tests need
# One test process a core; `-n 0` among the pytest arguments asks for a single one.
PARALLEL = ["-n", "auto", "--maxprocesses", "8", "--dist", "worksteal"]
STAMP_KEYS = ("python", "torch_index", "files", "extras")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
START = time.monotonic()

# Asked of the Python in .venv: its version, and which of the three it can import. sciops must be
# the one beside this file, so that a moved folder is noticed.
PROBE = f"""
import importlib.util, sys
print("%d.%d" % sys.version_info[:2])
for name in ("pip", "torch", "sciops"):
    spec = importlib.util.find_spec(name)
    if spec and (name != "sciops" or spec.origin == {str(ROOT / "sciops" / "__init__.py")!r}):
        print(name)
"""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in EXTRAS:
        asked = arguments[:1] in (["-h"], ["--help"])
        print(__doc__, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    command, rest = arguments[0], arguments[1:]
    extras = set(EXTRAS[command])
    if command == "test" and "--slow" in rest:
        extras |= SLOW_EXTRAS
        rest = ["-m", "slow or not slow", *(word for word in rest if word != "--slow")]
    prepare(extras)
    return hand_over(
        {
            "demo": ["sciops.cli", "demo", *rest],
            "test": ["pytest", *PARALLEL, *rest],
            "docs": ["sphinx", "-W", "--keep-going", *rest, "docs", "docs/_build/html"],
        }[command]
    )


def hand_over(module: list[str]) -> int:
    """Run `python -m module` of .venv in the repository; its exit code is ours."""
    os.chdir(ROOT)
    command = [str(PYTHON), "-m", *module]
    sys.stdout.flush()
    if os.name == "posix":  # become that process: signals and the exit code are its own
        os.execv(command[0], command)
    return subprocess.call(command)


def prepare(extras: set[str]) -> None:
    """Bring .venv to where it has `extras`; return at once if it does."""
    stamp, found = read_stamp(), probe()
    index = os.environ.get("SCIOPS_TORCH_INDEX", "")
    wanted = {
        "python": VERSION,
        "torch_index": index or stamp.get("torch_index", ""),
        "files": fingerprint(),
        "extras": sorted(extras | set(stamp.get("extras", []))),
    }
    sound = "pip" in found and VERSION in found and not UNFINISHED.exists()
    if stamp:
        same = all(stamp[key] == wanted[key] for key in ("python", "torch_index"))
        sound = sound and same and {"torch", "sciops"} <= found
    elif index and "torch" in found:  # nobody knows where that torch came from
        sound = False
    if sound and stamp == wanted:
        return
    if not sound:
        make_venv()
        found = {"pip"}
    install(wanted, torch_is_new="torch" not in found)


def read_stamp() -> dict[str, Any]:
    """What the last successful set-up installed; empty if there was none."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and all(key in stamp for key in STAMP_KEYS) else {}


def probe() -> set[str]:
    """What the Python in .venv answers to PROBE; empty if it does not run."""
    try:
        result = subprocess.run(
            [str(PYTHON), "-I", "-c", PROBE], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return set()
    return set(result.stdout.split())


def fingerprint() -> str:
    """Hash of the two files that say what is installed."""
    content = b"\0".join((ROOT / n).read_bytes() for n in ("pyproject.toml", "constraints.txt"))
    return hashlib.sha256(content).hexdigest()


def make_venv() -> None:
    """A new, empty .venv in place of whatever stands there."""
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is None or ensurepip.origin is None:  # None: an empty folder of that name
        sys.exit(
            f"This Python {VERSION} cannot make virtual environments: its ensurepip is missing.\n"
            "On Debian and Ubuntu install it with\n\n"
            f"    sudo apt-get install python{VERSION}-venv\n"
        )
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    elif VENV.exists():
        say("the environment in .venv is incomplete or out of date: making it again")
        PYTHON.unlink(missing_ok=True)  # first: a removal cut short is then noticed
        shutil.rmtree(VENV)
    say(f"making .venv with Python {platform.python_version()}")
    VENV.mkdir()
    UNFINISHED.touch()
    execute([sys.executable, "-m", "venv", str(VENV)])


def install(wanted: dict[str, Any], torch_is_new: bool) -> None:
    """torch by itself, then the project with its extras; the stamp comes last."""
    index = wanted["torch_index"]
    pins = (ROOT / "constraints.txt").read_text().split()
    torch = next(pin for pin in pins if pin.startswith("torch=="))
    if torch_is_new:
        warn_of_cuda(index)
    UNFINISHED.touch()
    STAMP.unlink(missing_ok=True)
    say(f"installing {torch}" + (f" from {index}" if index else ""))
    pip_install(torch, *(["--index-url", index] if index else []))
    extras = ",".join(wanted["extras"])
    say(f"installing sciops[{extras}] and what it needs")
    pip_install("-c", "constraints.txt", "-e", f".[{extras}]")
    STAMP.write_text(json.dumps(wanted, indent=1))
    UNFINISHED.unlink()
    say("ready")


def warn_of_cuda(index: str) -> None:
    """Without a GPU, say how to avoid PyPI's CUDA packages before they are downloaded."""
    gpu = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    from_pypi = sys.platform == "linux" and platform.machine() == "x86_64"
    if index or gpu or not from_pypi or pip_has_index():
        return
    print(
        "\nNo NVIDIA driver was found here, and pip is not told of an index of its own. PyPI's\n"
        "torch for Linux brings CUDA packages: several GB will now be downloaded. The CPU build,\n"
        "about 200 MB, does all that this machine can do; stop with Ctrl-C and have it by\n\n"
        f"    SCIOPS_TORCH_INDEX={CPU_INDEX} python3 run.py {shlex.join(sys.argv[1:])}\n",
        flush=True,
    )


def pip_has_index() -> bool:
    """Whether pip.conf or a PIP_* variable says where packages come from."""
    listing = subprocess.run(
        [str(PYTHON), "-m", "pip", "config", "list"], capture_output=True, text=True, cwd=ROOT
    ).stdout
    keys = [line.split("=")[0] for line in listing.splitlines()]
    return any(key.endswith(("index-url", "find-links")) for key in keys)


def pip_install(*arguments: str) -> None:
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    execute([str(PYTHON), "-m", "pip", "install", *options, *arguments])


def execute(command: list[str]) -> None:
    """Run quietly, in the repository; on failure show the last lines and exit."""
    last: collections.deque[str] = collections.deque(maxlen=15)
    terminal, columns = sys.stdout.isatty(), shutil.get_terminal_size().columns - 1
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        for line in process.stdout or ():
            last.append(line.rstrip())
            if terminal:  # one line that is written over
                print("\r" + f"        {line.strip()}"[:columns].ljust(columns), end="", flush=True)
        code = process.wait()
    except BaseException:  # Ctrl-C: the child must not live on
        process.terminate()
        process.wait()
        raise
    finally:
        if terminal:
            print("\r" + " " * columns, end="\r", flush=True)
    if code:
        UNFINISHED.unlink(missing_ok=True)  # pip stopped by itself: what it did can be built upon
        sys.exit("\n".join([*last, f"failed (exit code {code}): {shlex.join(command)}"]))


def say(what: str) -> None:
    print(f"[{time.monotonic() - START:4.0f} s] {what}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
