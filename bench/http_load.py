"""Load from wrk: 64 connections, one thread, tracking links in turn, browser-like header fields.

Who calls: the experiments of the hit path.  Promises: a request that was refused, broken off or
answered with an error is a fault, not a figure; what is counted was answered whole.  Limits: at the
end of a run wrk drops what it has asked and not yet read, up to one request a connection.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any

from bench.experiment import BenchFault
from bench.floor import program_missing
from bench.processors import pinned_to, processors
from support.processes import LOOPBACK

CONNECTIONS = 64
KEEP_ALIVE, ONE_SHOT = "keep-alive", "one-shot"
"""The two shapes of load: connections that stay, and a new one for each hit."""

_SCRIPT = Path(__file__).with_name("hits.lua")
_PROGRAMS = {"wrk": "wrk", "taskset": "util-linux"}
_PATH = ("/usr/bin", "/bin")
_ERRORS = ("connect", "read", "write", "status", "timeout")
_TIMEOUT_SECONDS = 10
_LONGEST_SECONDS = 60
_GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Answered:
    """What a run of wrk saw; latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def a_second(self) -> float:
        """How many requests were answered in a second."""
        return self.requests / self.seconds


class _Press:
    """A load that is under way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def end(self) -> Answered:
        """Stop asking and return what was answered meanwhile.  Raises BenchFault."""
        if self._process.poll() is None:
            self._process.send_signal(SIGINT)  # wrk then ends in good order
        return self.result()

    def result(self) -> Answered:
        """Wait for the end and return what was answered.  Raises BenchFault."""
        try:
            output, complaints = self._process.communicate(
                timeout=_LONGEST_SECONDS + _GRACE_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise BenchFault(f"wrk was not done in {error.timeout:g} s") from error
        if self._process.returncode != 0:
            raise BenchFault(f"wrk: {complaints.strip() or output.strip()}")
        return read_summary(output)


def check_program() -> None:
    """Raise BenchFault, naming the Debian package, where the load cannot be made."""
    missing = program_missing(_PROGRAMS, _PATH)
    if missing:
        raise BenchFault(missing)


def ask(port: int, links: Path, shape: str, seconds: int) -> Answered:
    """Ask for the paths in the file `links` for some seconds.  Raises BenchFault."""
    with pressing(port, links, shape, seconds) as press:
        return press.result()


@contextmanager
def pressing(
    port: int, links: Path, shape: str, seconds: int = _LONGEST_SECONDS
) -> Iterator[_Press]:
    """Ask while the block runs, at most `seconds`; nothing of it is left afterwards."""
    argv = [
        *pinned_to(processors().load),
        *("wrk", "--threads", "1", "--connections", str(CONNECTIONS)),
        *("--duration", f"{seconds}s", "--timeout", f"{_TIMEOUT_SECONDS}s", "--latency"),
        *("--script", str(_SCRIPT), f"http://{LOOPBACK}:{port}", "--", str(links), shape),
    ]
    with subprocess.Popen(
        argv,
        env={"PATH": ":".join(_PATH)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield _Press(process)
        finally:
            process.kill()


def read_summary(output: str) -> Answered:
    """Read the line of JSON that hits.lua writes at the end.

    Raises BenchFault; that nothing was answered is none, since a warming-up may be too short.
    """
    summaries = [line for line in output.splitlines() if line.startswith("{")]
    if not summaries:
        raise BenchFault("wrk told nothing of what was answered")
    said: dict[str, Any] = json.loads(summaries[-1])
    errors = {name: said[name] for name in _ERRORS if said[name]}
    if errors:
        raise BenchFault(f"wrk: of {said['requests']} requests these failed: {errors}")
    return Answered(
        requests=said["requests"],
        seconds=said["microseconds"] / 1e6,
        p50=said["p50"] / 1000,
        p99=said["p99"] / 1000,
    )
