"""The wall clock jumps, forth and back, under the running sidecar: each hit is one event."""

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from openclick.hits import Hit
from openclick.instants import SECOND
from support.clicked_world import World
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.processes import wait_until
from support.webhook_receiver import WebhookReceiver

FAKETIME = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")

pytestmark = [
    requires_private_postfix,
    pytest.mark.skipif(not FAKETIME, reason="needs Debian's package faketime"),  # for its clock
]

JUMPS = ("+1h", "-1h", "+2d", "-0.5s", "-2d", "+10m", "+0")
"""Where the clock stands against the true one, one after another."""
STAY_SECONDS = 0.6
"""Longer than the hold, so that hits are judged on either side of a jump, and some across it."""
A_DAY = 86_400 * SECOND
_MANY = 1_000_000


class Clock:
    """What libfaketime makes of the wall clock; the monotonic one runs on, as in a real jump."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.jump("+0")
        self.environment = {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, offset: str) -> None:
        """Set the clock, so that nobody reads half an offset."""
        draft = self._path.with_suffix(".new")
        draft.write_text(f"{offset}\n", "ascii")
        draft.chmod(0o644)
        draft.rename(self._path)


@pytest.fixture
def clock() -> Iterator[tuple[Clock, World]]:
    """Give a clock, and a sidecar that believes it."""
    with Installation() as installation:
        clock = Clock(installation.directory / "clock")
        installation.extra_env = clock.environment
        yield clock, World(installation)


def recorded(world: World) -> list[Hit]:
    """Return the hits in the order of their positions."""
    with closing(world.installation.store.hit_reader()) as reader:
        return [hit for _, hit in reader.many_after(0, _MANY, _MANY)]


def test_one_event_a_hit_in_the_order_of_positions(
    clock: tuple[Clock, World], receiver: WebhookReceiver
) -> None:
    """Under load: none is missing, none is two, none waits for a clock that was wrong."""
    hands, world = clock
    url = f"http://127.0.0.1:{receiver.port}/events"
    world.installation.openclick("webhook", "add", url)

    for offset in JUMPS:
        hands.jump(offset)
        world.visit(STAY_SECONDS)

    world.require_answers(100)
    world.require_all()
    hits, events = recorded(world), world.events()
    instants = [hit.received_at for hit in hits]
    steps = [later - earlier for earlier, later in pairwise(instants)]
    assert min(steps) < -A_DAY < A_DAY < max(steps)
    assert [f"evt_{hit.hit_id.hex()}" for hit in hits] == [event["id"] for event in events]
    wait_until(lambda: len(_posted(receiver)) == len(events), 60, "every event at the webhook", 0.2)


def test_a_kill_on_either_side_of_a_jump(clock: tuple[Clock, World]) -> None:
    """The next process begins at the cursor, not at an instant."""
    hands, world = clock

    for offset in ("+2d", "-2d", "+0"):
        with world.visitors:
            hands.jump(offset)
            wait_until(lambda: len(world.visitors.answered) % 50 > 40, 10, "some more clicks")
            world.kill()
        world.installation.start_sidecar()

    world.require_all()


def _posted(receiver: WebhookReceiver) -> set[str]:
    """Return the ids of the events that have reached the webhook."""
    return {event["id"] for post in receiver.posts for event in json.loads(post.body)["events"]}
