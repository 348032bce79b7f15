"""Load from Postfix's own smtp-source: the same mail again and again, one connection a message.

Who calls: the experiments that need many messages.  Promises: it starts with an empty queue and
waits for one at the end (outside the clock), so that no variant pays for another's deliveries; a
refusal or a message that was not treated as meant is a fault, not a figure.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from bench import mails
from bench.experiment import BenchFault
from bench.world import World
from support.postfix_machine import ENVIRONMENT, program_path

_DRAIN_SECONDS = 600.0
_LONGEST_SECONDS = 1800.0
_INSTRUMENTED = b" instrumented "


def submit(
    world: World, variant: str, count: int, sessions: int, mail: Path | None = None
) -> float:
    """Submit `count` mails of a variant and return the seconds that it took.  Raises BenchFault."""
    listener = world.listener(variant)
    log = world.milter.log_path if variant == "tracked" else None
    logged = log.stat().st_size if log else 0
    world.postfix.wait_for_empty_queue(_DRAIN_SECONDS)
    seconds = _smtp_source(
        [
            *("-s", str(sessions), "-m", str(count)),
            *("-f", world.sender(variant), "-t", mails.RECIPIENT),
            *("-F", str(mail or world.mail_file(variant))),
            f"inet:{listener.host}:{listener.port}",
        ]
    )
    world.postfix.wait_for_empty_queue(_DRAIN_SECONDS)
    if log:
        _check_instrumented(log, logged, count)
    return seconds


def _smtp_source(arguments: list[str]) -> float:
    argv = [program_path("smtp-source"), *arguments]
    began = time.perf_counter()
    try:
        done = subprocess.run(
            argv,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchFault(f"smtp-source was not done in {_LONGEST_SECONDS:g} s") from error
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise BenchFault(f"smtp-source: {done.stderr.strip()}")
    return seconds


def _check_instrumented(log: Path, logged: int, count: int) -> None:
    with log.open("rb") as file:
        file.seek(logged)
        lines = file.read().splitlines()
    others = [line for line in lines if _INSTRUMENTED not in line]
    if len(lines) - len(others) != count:
        story = b"; ".join(others[:3]).decode("utf-8", "replace") or "nothing"
        raise BenchFault(
            f"of {count} mails to be tracked the milter instrumented {len(lines) - len(others)}; "
            f"beside that it said: {story}"
        )
