"""The tracking domain: recorded, then answered; answered whatever the store does."""

from collections.abc import Callable

import pytest

from openclick.hits import MAX_HEADER_CHARS
from openclick.ids import new_hit_id
from openclick.tokens import Kind, Token
from openclick_sidecar import answers
from openclick_sidecar.answers import Answer
from unit.samples import COPY, DESTINATION, EMAIL_ID, NOW, a_hit
from unit.site.site_world import CLICK, OPEN, World


def test_click_is_recorded_before_it_is_answered(world: World) -> None:
    """Answered means recorded: no answer leaves before the hit is on disk (DESIGN 1.4)."""
    world.ask(
        world.seal(Kind.CLICK, CLICK), user_agent="Mozilla/5.0 X", purpose="prefetch", cookie="c"
    )

    assert [] == world.answers
    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers
    assert [
        a_hit(
            hit_id=new_hit_id(NOW, b"r" * 10),
            received_at=NOW,
            link_index=7,
            user_agent="Mozilla/5.0 X",
            headers={"purpose": "prefetch"},
        )
    ] == world.hits()


def test_open_is_recorded_before_it_is_answered(world: World) -> None:
    """Likewise, with the image."""
    world.ask(world.seal(Kind.OPEN, OPEN))

    assert [] == world.answers
    world.run_recorder()

    assert [answers.IMAGE] == world.answers
    assert [(Kind.OPEN, "", "")] == [(h.kind, h.destination, h.user_agent) for h in world.hits()]


@pytest.mark.parametrize(
    ("kind", "token", "answer"),
    [
        (Kind.CLICK, CLICK, answers.redirect(DESTINATION.encode())),
        (Kind.OPEN, OPEN, answers.IMAGE),
    ],
)
def test_store_cannot_take_it(world: World, kind: Kind, token: Token, answer: Answer) -> None:
    """The link is answered all the same, and the loss is counted (DESIGN 1.3, 1.4)."""
    (world.store.directory / "hits.db").mkdir()
    (world.store.directory / "journal").write_bytes(b"in the way")
    world.ask(world.seal(kind, token))

    world.run_recorder()

    assert [answer] == world.answers
    assert (0, 1) == (world.recorder.recorded, world.recorder.lost)


def test_long_fields_are_cut(world: World) -> None:
    """A hit has a bounded size."""
    world.ask(world.seal(Kind.CLICK, CLICK), user_agent="u" * 4000, referer="r" * 4000)

    world.run_recorder()

    (hit,) = world.hits()
    assert (MAX_HEADER_CHARS, MAX_HEADER_CHARS) == (
        len(hit.user_agent),
        len(hit.headers["referer"]),
    )


def test_any_sealed_destination_is_answered(world: World) -> None:
    """The longest and the oddest, with no byte that could split the answer."""
    destination = "https://bücher.example/\r\nX: y?" + "ä" * 500

    world.ask(world.seal(Kind.CLICK, Token(EMAIL_ID, COPY, 0, destination)))
    world.run_recorder()

    (answer,) = world.answers
    assert answer.head.startswith(
        b"HTTP/1.1 302 Found\r\nLocation: https://xn--bcher-kva.example/%0D"
    )
    assert b"X: y" not in answer.head


def test_each_hit_has_an_id_of_its_own(world: World) -> None:
    """Made before the first write, from the clock and the randomness handed in."""
    numbers = iter(range(1, 10))
    randomness: Callable[[int], bytes] = lambda size: next(numbers).to_bytes(size, "big")  # noqa: E731
    world.site = world.site_with(world.keys, randomness)
    path = world.seal(Kind.OPEN, OPEN)

    world.ask(path)
    world.ask(path)
    world.run_recorder()

    ids = [new_hit_id(NOW, number.to_bytes(10, "big")) for number in (1, 2)]
    assert ids == [h.hit_id for h in world.hits()]


def test_switched_off_or_removed_domain_makes_no_difference(world: World) -> None:
    """No domain is asked for: links outlive the row, the switch, the verification (DESIGN 1.3)."""
    assert not (world.store.directory / "openclick.db").exists()

    world.ask(world.seal(Kind.CLICK, CLICK))
    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers


def test_a_hit_is_in_the_waiting_room_until_its_fate_is_known(world: World) -> None:
    """From the hand-over to the answer; what is no hit never passes it."""
    world.ask(world.seal(Kind.CLICK, CLICK))
    world.ask(world.seal(Kind.CLICK, CLICK), "HEAD")
    world.ask("/robots.txt")
    waiting = world.room.waiting

    world.run_recorder()

    assert 1 == waiting
    assert (0, 1) == (world.room.waiting, world.room.passed)
    assert world.site.lost_at is None


def test_a_loss_is_remembered(world: World) -> None:
    """For /readyz."""
    (world.store.directory / "hits.db").mkdir()
    (world.store.directory / "journal").write_text("in the way")
    world.ask(world.seal(Kind.CLICK, CLICK))

    world.run_recorder()

    assert NOW == world.site.lost_at
