"""A long-lived process that opens hostile files; replaced where one of them kills or hangs it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from robustness._opening import BUDGET, SECONDS

WAIT = 120.0  # seconds after which a file hangs that takes no CPU time
START = 120.0  # seconds for the imports of a new process
LATE = 30.0  # seconds that the command line may take beside its child's
CHILD = 8.0  # seconds after which the command line gives up a file; a minute outside of tests


@dataclass(frozen=True)
class Outcome:
    """How opening a file ended: answer, refused, defect; or killed, hung (see `_opening`)."""

    end: str
    text: str
    seconds: float = 0.0
    megabytes: float = 0.0


class Opener:
    """Opens files in another process."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.started = 0

    def __call__(self, path: Path, whole: bool = False) -> Outcome:
        """How opening that file ends; `whole`: whether all samples' frames are read."""
        if self.process is None:
            self._start()
        assert self.process is not None and self.process.stdin is not None
        question = json.dumps([os.fsencode(path).hex(), whole])
        try:
            self.process.stdin.write(question + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return Outcome("killed", f"before it was asked, by {self.stop()}")
        if not select.select([self.answers], [], [], WAIT)[0]:
            self.stop()
            return Outcome("hung", f"for {WAIT:.0f} s", WAIT)
        line = self.answers.readline()
        if not line:
            status = self.stop()
            if status == -signal.SIGPROF:
                return Outcome("hung", f"for {SECONDS:.0f} s of CPU time", SECONDS)
            return Outcome("killed", f"by signal {-status}")
        return Outcome(**json.loads(line))

    def inspected(self, path: Path) -> tuple[int, str]:
        """(exit code, stderr) of ``sciops data inspect``, whose child has `CHILD` seconds."""
        command = (
            f"import sys; from sciops.cli import data, main; data.SECONDS = {CHILD}; "
            f"sys.argv = ['sciops', 'data', 'inspect', *sys.argv[1:]]; main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", command, "--", str(path)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, text = process.communicate(timeout=2 * CHILD + LATE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the child that it should have ended
            return process.wait(), "the command line did not end"
        return process.returncode, text.decode(errors="replace")

    def _start(self) -> None:
        read, write = os.pipe()
        environment = os.environ | {"SCIOPS_MEMORY": BUDGET, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("_opening.py")), str(write)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[write],
            env=environment,
            text=True,
        )
        os.close(write)
        self.answers = os.fdopen(read)
        assert select.select([self.answers], [], [], START)[0] and self.answers.readline()
        self.started += 1

    def stop(self) -> int:
        """End the process; its exit status."""
        if self.process is None:
            return 0
        self.process.kill()
        self.process.communicate()
        self.answers.close()
        status, self.process = self.process.returncode, None
        return status
