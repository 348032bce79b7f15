"""Commits message rows at a steady pace, as a milter does, and prints how long each commit took.

    commits.py --store DIRECTORY --seconds 4 --a-second 200

The milter's own recorder writes real rows, one a commit, and each submission waits for its own.
The values are milliseconds from handing a row over to having it on disk: `p50`, `p99`, and `rows`,
how many there were.
"""

from __future__ import annotations

import argparse
import json
import time

from bench.message_rows import message_row
from bench.percentiles import percentile
from openclick.instants import now
from openclick.store import open_store
from openclick_milter.counters import Counters
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder

_MESSAGES_DAYS = 400
_PATIENCE_SECONDS = 10.0
_LINKS = 30
"""As many as the newsletter of the other figures has."""


def main() -> None:
    """Write rows for a while."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--a-second", type=float, default=200)
    options = parser.parse_args()
    chores = Housekeeping(Counters(), lambda: _MESSAGES_DAYS, now, now())
    recorder = MessageRecorder(open_store(f"sqlite:{options.store}"), chores, time.monotonic)
    recorder.start()
    _commit(recorder, 0)  # opens the file
    waits = sorted(_paced(recorder, options.seconds, 1 / options.a_second))
    recorder.stop()
    print(
        json.dumps(
            {
                "p50": percentile(waits, 50) * 1000,
                "p99": percentile(waits, 99) * 1000,
                "rows": len(waits),
            }
        )
    )


def _paced(recorder: MessageRecorder, seconds: float, pause_seconds: float) -> list[float]:
    """Commit at every beat that is not already over; return how long each took."""
    waits: list[float] = []
    began = time.monotonic()
    beat = 0
    while beat * pause_seconds < seconds:
        time.sleep(max(0.0, began + beat * pause_seconds - time.monotonic()))
        waits.append(_commit(recorder, beat))
        beat = max(beat + 1, int((time.monotonic() - began) / pause_seconds))
    return waits


def _commit(recorder: MessageRecorder, number: int) -> float:
    message = message_row(number, _LINKS)
    began = time.perf_counter()
    recorder.record(message).wait(_PATIENCE_SECONDS)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
