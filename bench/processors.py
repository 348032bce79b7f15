"""Two processors: one for the server that is measured, one for the load.

Who calls: the experiments of the hit path.  Promises: what is pinned stays on its processor, with
all its threads and children.  Limits: other work on the machine is not kept away from either.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

from bench.experiment import BenchFault


class Processors(NamedTuple):
    """Which processor serves, and which one asks."""

    server: int
    load: int


def processors(usable: Collection[int] | None = None) -> Processors:
    """Choose among the processors that this process may use.  Raises BenchFault below two."""
    usable = os.sched_getaffinity(0) if usable is None else usable
    if len(usable) < 2:
        raise BenchFault("one processor only: need one for the server and one for the load")
    return Processors(min(usable), max(usable))


def pinned_to(processor: int) -> tuple[str, ...]:
    """Return what is put before a command line; the process id stays the program's own."""
    return ("/usr/bin/taskset", "--cpu-list", str(processor))
