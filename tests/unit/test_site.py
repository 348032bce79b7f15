"""The tracking domain: recorded, then answered; answered whatever the store does."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from openclick.hits import MAX_HEADER_CHARS, Hit
from openclick.ids import new_hit_id
from openclick.keys import KeyDirectory, rotate_keys
from openclick.settings import StoreSettings
from openclick.store import Store, open_store
from openclick.tokens import KeyRing, Kind, Token
from openclick_sidecar import answers, proof
from openclick_sidecar.answers import Answer
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_request import FieldMap, HitRequest
from openclick_sidecar.keeper import keeper_for
from openclick_sidecar.recorder import HitRecorder
from openclick_sidecar.site import TrackingSite
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock
from unit.samples import COPY, DESTINATION, EMAIL_ID, NOW, TRACKING_DOMAIN, a_hit
from unit.turns import Turns

CLICK = Token(EMAIL_ID, COPY, 7, DESTINATION)
OPEN = Token(EMAIL_ID, COPY)


class World:
    """A site on a real store and real keys, and the requests of one client."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.key_directory = directory / "keys"
        self.key_directory.mkdir()
        rotate_keys(str(self.key_directory))
        self.keys = KeyDirectory(str(self.key_directory), self.clock.monotonic)
        self.store: Store = open_store(f"sqlite:{directory}")
        self.turns = Turns()
        keeper = keeper_for(self.store, StoreSettings(), lambda: 30)
        self.recorder = HitRecorder(keeper, self.turns)
        self.room = WaitingRoom()
        self.counters = HitCounters()
        self.site = self.site_with(self.keys)
        self.answers: list[Answer] = []

    def site_with(
        self, keys: KeyDirectory, randomness: Callable[[int], bytes] = lambda size: b"r" * size
    ) -> TrackingSite:
        """Return a site with these keys."""
        return TrackingSite(keys, self.recorder, lambda: NOW, randomness, self.room, self.counters)

    def ask(
        self, path: str, method: str = "GET", host: str = TRACKING_DOMAIN, **fields: str
    ) -> None:
        """Send a request; its answer comes into `answers`, at once or later."""
        found = FieldMap()
        for name, value in fields.items():
            found.addRawHeader(name.replace("_", "-").encode(), value.encode())
        request = HitRequest(method, path, host, "192.0.2.7", found)
        self.site.on_request(request, self.answers.append)

    def run_recorder(self) -> None:
        """Have everything written that was handed over, and told."""
        self.recorder.start()
        self.recorder.stop()
        self.turns.run()

    def hits(self) -> list[Hit]:
        """Return what is on disk."""
        reader = self.store.hit_reader()
        try:
            return [hit for _, hit in reader.many_after(0, 100, 100)]
        finally:
            reader.close()

    def seal(self, kind: Kind, token: Token, domain: str = TRACKING_DOMAIN) -> str:
        """Return the path of a tracking URL."""
        return f"/{kind.value}/{self.keys.ring().seal(kind, domain, token)}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with one key and an empty store."""
    return World(tmp_path)


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


def test_head_is_answered_and_not_recorded(world: World) -> None:
    """Scanners and previews use it; it is no hit."""
    world.ask(world.seal(Kind.CLICK, CLICK), "HEAD")
    world.ask(world.seal(Kind.OPEN, OPEN), "HEAD")

    assert [answers.redirect(DESTINATION.encode()), answers.IMAGE] == world.answers
    world.recorder.start()
    world.recorder.stop()
    assert world.recorder.recorded == 0


def test_options_is_answered_and_not_recorded(world: World) -> None:
    """On any path."""
    world.ask(world.seal(Kind.CLICK, CLICK), "OPTIONS")

    assert [answers.OPTIONS] == world.answers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PROPFIND"])
def test_other_methods(world: World, method: str) -> None:
    """405, and nothing is recorded."""
    world.ask(world.seal(Kind.CLICK, CLICK), method)

    assert [answers.NOT_ALLOWED] == world.answers


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", answers.ROOT),
        ("/?x=1", answers.ROOT),
        ("/robots.txt", answers.ROBOTS),
        ("/favicon.ico", answers.NOT_FOUND),
        ("//", answers.NOT_FOUND),
        ("/c", answers.NOT_FOUND),
        ("/C/x", answers.NOT_FOUND),
        ("/?/c/x", answers.ROOT),
    ],
)
def test_other_paths(world: World, path: str, answer: Answer) -> None:
    """The root and robots.txt say something sensible; nothing else is here."""
    world.ask(path)

    assert [answer] == world.answers


@pytest.mark.parametrize("junk", ["?utm_source=x", "%27", "'", "/", ".", "&x=1", "?/o/abc"])
def test_junk_behind_a_token(world: World, junk: str) -> None:
    """What a mail client or a scanner hangs on breaks no link."""
    world.ask(world.seal(Kind.CLICK, CLICK) + junk)

    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers


@pytest.mark.parametrize("text", ["", "x", "AAAA", "A" * 60, "%41", "A" * 3000, "?AAAA"])
def test_broken_tokens_get_one_constant_answer(world: World, text: str) -> None:
    """404 for a link, the same gif with 200 for an image: an open image never breaks a mail."""
    world.ask(f"/c/{text}")
    world.ask(f"/o/{text}")

    assert [answers.NOT_FOUND, answers.IMAGE] == world.answers


@pytest.mark.parametrize(
    "host", ["track.other.example", "", "192.0.2.1", "[::1]", "a b", "x" * 2000, "ü\ufffd"]
)
def test_token_of_another_domain(world: World, host: str) -> None:
    """A token opens on its own domain alone."""
    world.ask(world.seal(Kind.CLICK, CLICK), host=host)

    assert [answers.NOT_FOUND] == world.answers


@pytest.mark.parametrize(
    "host", ["TRACK.Kontor.Example", "track.kontor.example.", "track.kontor.example:8443"]
)
def test_spellings_of_the_host(world: World, host: str) -> None:
    """Case, final dot and port do not matter."""
    world.ask(world.seal(Kind.CLICK, CLICK), host=host)

    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers
    assert [TRACKING_DOMAIN] == [hit.tracking_domain for hit in world.hits()]


def test_token_of_the_other_kind(world: World) -> None:
    """An image's token is no link."""
    path = world.seal(Kind.OPEN, OPEN).replace("/o/", "/c/")

    world.ask(path)

    assert [answers.NOT_FOUND] == world.answers


def test_key_added_meanwhile_is_found(world: World) -> None:
    """A token with an unknown key id makes the site read the directory again."""
    world.keys.ring()
    other = KeyDirectory(str(world.key_directory), world.clock.monotonic)
    rotate_keys(str(world.key_directory))
    path = f"/c/{other.ring().seal(Kind.CLICK, TRACKING_DOMAIN, CLICK)}"
    world.clock.advance(1)

    world.ask(path)
    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers


def test_without_a_key_everything_is_unknown(world: World) -> None:
    """No exception reaches the client, and no file is asked for twice a second."""
    path = world.seal(Kind.CLICK, CLICK)
    world.site = world.site_with(KeyDirectory("/nonexistent", world.clock.monotonic))

    world.ask(path)
    world.ask(path.replace("/c/", "/o/"))

    assert [answers.NOT_FOUND, answers.IMAGE] == world.answers


def test_a_stranger_cannot_fill_the_log_without_a_key(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The missing key is told when the directory is read, not with each of a hundred requests."""
    path = world.seal(Kind.CLICK, CLICK)
    world.site = world.site_with(KeyDirectory("/nonexistent", world.clock.monotonic))

    for _ in range(100):
        world.ask(path)
    world.clock.advance(2)
    world.ask(path)

    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert 2 == len(told)


def test_switched_off_or_removed_domain_makes_no_difference(world: World) -> None:
    """No domain is asked for: links outlive the row, the switch, the verification (DESIGN 1.3)."""
    assert not (world.store.directory / "openclick.db").exists()

    world.ask(world.seal(Kind.CLICK, CLICK))
    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers


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


def test_ring_of_a_stranger_opens_nothing(world: World) -> None:
    """Nobody without the key can make the sidecar redirect (DESIGN 1.7)."""
    forged = KeyRing({0: b"k" * 64}).seal(Kind.CLICK, TRACKING_DOMAIN, CLICK)

    world.ask(f"/c/{forged}")

    assert [answers.NOT_FOUND] == world.answers


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


def test_requests_are_counted(world: World) -> None:
    """By what was asked for, method and status; methods of no meaning are one."""
    click = world.seal(Kind.CLICK, CLICK)
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PURGE"):
        world.ask(click, method)
    world.ask(world.seal(Kind.OPEN, OPEN))
    world.ask("/c/x")
    world.ask("/x")

    assert {
        ("click", "GET", 302): 1,
        ("click", "HEAD", 302): 1,
        ("click", "OPTIONS", 204): 1,
        ("click", "other", 405): 2,
        ("open", "GET", 200): 1,
        ("click", "GET", 404): 1,
        ("page", "GET", 404): 1,
    } == world.counters.requests


def test_refused_tokens_are_counted_by_reason(world: World) -> None:
    """The reasons are few, whatever strangers send."""
    click = world.seal(Kind.CLICK, CLICK)
    world.ask("/c/")
    world.ask("/c/AAAA")
    world.ask(click[:-1])
    world.ask(click, host="a b")
    world.ask(click, host="track.other.example")
    for key_id in range(1, 9):
        world.ask(f"/c/{_with_key_id(click[3:], key_id)}")
    world.site = world.site_with(KeyDirectory("/nonexistent", world.clock.monotonic))
    world.ask(click)

    assert {
        "no token": 1,
        "too short": 1,
        "bad host": 1,
        "unknown key": 8,
        "no keys": 1,
    }.items() <= world.counters.refused_tokens.items()
    assert 14 == sum(world.counters.refused_tokens.values())


def _with_key_id(token: str, key_id: int) -> str:
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    return base64.urlsafe_b64encode(bytes([key_id]) + raw[1:]).rstrip(b"=").decode()


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


@pytest.mark.parametrize("host", [TRACKING_DOMAIN, f"{TRACKING_DOMAIN.upper()}.:8080"])
def test_challenge(world: World, host: str) -> None:
    """Answered for the name that was asked for, whether it was ever added or not; no hit."""
    path = proof.challenge_path(b"n" * proof.NONCE_BYTES)
    expected = proof.answer(world.keys.ring(), TRACKING_DOMAIN, path)

    world.ask(path, host=host)
    world.ask(f"{path}?x=1", host=host)
    world.ask(path, "HEAD", host=host)

    assert [answers.text_page(expected.encode())] * 3 == world.answers
    assert world.room.waiting == 0


@pytest.mark.parametrize("host", ["", "a b", "[::1]"])
def test_challenge_without_a_host_name(world: World, host: str) -> None:
    """Nothing there: it is a name that is to be proved."""
    world.ask(proof.challenge_path(b"n" * proof.NONCE_BYTES), host=host)

    assert [answers.NOT_FOUND] == world.answers


def test_challenge_without_a_key(world: World, tmp_path: Path) -> None:
    """Nothing there; the check then says that another server answers."""
    keys = KeyDirectory(str(tmp_path / "none"), world.clock.monotonic)
    site = world.site_with(keys)
    path = proof.challenge_path(b"n" * proof.NONCE_BYTES)

    site.on_request(
        HitRequest("GET", path, TRACKING_DOMAIN, "192.0.2.7", FieldMap()), world.answers.append
    )

    assert [answers.NOT_FOUND] == world.answers
