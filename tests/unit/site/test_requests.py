"""What is asked for beside hits: other methods, paths and hosts, and how all is counted."""

import pytest

from openclick.tokens import Kind
from openclick_sidecar import answers
from openclick_sidecar.answers import Answer
from unit.samples import DESTINATION, TRACKING_DOMAIN
from unit.site.site_world import CLICK, OPEN, World


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


@pytest.mark.parametrize(
    "host", ["TRACK.Kontor.Example", "track.kontor.example.", "track.kontor.example:8443"]
)
def test_spellings_of_the_host(world: World, host: str) -> None:
    """Case, final dot and port do not matter."""
    world.ask(world.seal(Kind.CLICK, CLICK), host=host)

    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers
    assert [TRACKING_DOMAIN] == [hit.tracking_domain for hit in world.hits()]


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
