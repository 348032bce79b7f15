"""Times hostile mails at one size and at twice that size, and prints how the time has grown.

The values are CPU seconds, two for each kind: "KIND once" and "KIND twice", the best of several
tries in turn, which is what the code needs when nothing else is in its way.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path

from bench.workers.bombs import BOMBS, Bomb, MakeBomb
from bench.workers.submission_stub import make_world, submit
from openclick_milter.footprint import look_rarely
from openclick_milter.submission import World

_LONG_SECONDS = 3.0
"""What takes longer is not tried again: one try tells enough."""


def main() -> None:
    """Time every kind, or those asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=250_000)
    parser.add_argument("--field-size", type=int, default=50_000)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--backwards", action="store_true")
    parser.add_argument("kinds", nargs="*", default=list(BOMBS))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    look_rarely()  # as the milter does
    values: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        world = make_world(Path(directory))
        for kind in reversed(options.kinds) if options.backwards else options.kinds:
            size = options.field_size if kind.startswith("field:") else options.size
            once, twice = _times(world, BOMBS[kind], size, options.tries)
            values |= {f"{kind} once": once, f"{kind} twice": twice}
    print(json.dumps(values))


def _times(world: World, make: MakeBomb, size: int, tries: int) -> tuple[float, float]:
    once, twice = make(size), make(2 * size)
    best = [float("inf"), float("inf")]
    for _ in range(tries):
        for place, bomb in enumerate((once, twice)):
            best[place] = min(best[place], _seconds(world, bomb))
        if best[1] > _LONG_SECONDS:
            break
    return best[0], best[1]


def _seconds(world: World, bomb: Bomb) -> float:
    began = time.process_time()
    submit(world, bomb.fields, bomb.body)
    return time.process_time() - began


if __name__ == "__main__":
    main()
