"""Ids that are believed, and tokens of ours in a mail: again, a reply, a stranger's."""

import re

from openclick.keys import load_keys, rotate_keys
from openclick.messages import Outcome
from openclick.sealed_ids import sealed_header
from openclick.settings import LinkSettings
from openclick_milter.controls import Removal
from openclick_milter.minter import TokenMinter
from openclick_milter.reasons import Reason
from unit.samples import DESTINATION, EMAIL_ID, TRACKING_DOMAIN
from unit.submission.transactions import (
    CONTROL,
    FIELDS,
    Milter,
)


def test_the_apis_id_is_kept(milter: Milter) -> None:
    """X-OpenClick-Id with our MAC names the message; it never leaves."""
    value = sealed_header(EMAIL_ID, milter.world.keys.ring())

    _, edits = milter.send([*FIELDS, ("X-OpenClick-Id", value)])

    assert (Removal("X-OpenClick-Id", 1),) == edits.removals
    assert [EMAIL_ID] == [row.email_id for row in milter.rows()]


def test_a_forged_id_is_ignored(milter: Milter) -> None:
    """And removed all the same."""
    value = sealed_header(EMAIL_ID, milter.world.keys.ring())

    _, edits = milter.send([*FIELDS, ("X-OpenClick-Id", value[:-1] + "x")])

    assert (Removal("X-OpenClick-Id", 1),) == edits.removals
    assert [EMAIL_ID] != [row.email_id for row in milter.rows()]


def test_the_same_mail_coming_round_again_is_left(milter: Milter) -> None:
    """Its tokens have a row with the same Message-ID: nothing more is done (DESIGN 3.6)."""
    _, first = milter.send()
    assert first.body is not None

    _, second = milter.send(body=first.body)

    assert second.body is None
    assert [Outcome.INSTRUMENTED, Outcome.UNTOUCHED] == sorted(
        (row.outcome for row in milter.rows()), key=str
    )


def test_what_was_tracked_comes_round_again_and_is_left(milter: Milter) -> None:
    """Whatever was on the first time and is on the second: its control headers are gone by then."""
    opens, clicks = CONTROL[0], CONTROL[0].replace("Opens", "Clicks")
    only_links, only_image, both = [(opens, "no")], [(clicks, "no")], list[tuple[str, str]]()
    for first_time in (only_links, only_image, both):
        for second_time in (only_links, only_image, both):
            _, first = milter.send([*FIELDS, *first_time])
            assert first.body is not None

            _, second = milter.send([*FIELDS, *second_time], first.body)

            assert second.body is None, (first_time, second_time)


def test_a_link_sealed_with_a_key_of_a_moment_ago_is_ours(milter: Milter) -> None:
    """A key id that is not held has the keys read again (DESIGN 4): no link is wrapped twice."""
    milter.world.keys.ring()
    rotate_keys(str(milter.key_directory))
    other = TokenMinter(
        load_keys(str(milter.key_directory)), LinkSettings(), TRACKING_DOMAIN, EMAIL_ID, b"copy"
    )
    url = other.link_urls([(0, DESTINATION)])[0]
    milter.clock.advance(2)

    milter.send(body=f'<html><body><a href="{url}">Boots</a></body></html>'.encode())

    [row] = milter.rows()
    assert [(url, False, "already tracked")] == [
        (link.destination, link.tracked, link.reason) for link in row.links
    ]
    assert (0, 1) == milter.world.keys.ring().key_ids


def test_tokens_of_strangers_cost_one_look_a_second(milter: Milter) -> None:
    """However many URLs look like tokens of a key that is not held."""
    links = [
        f'<a href="https://track.kontor.example/c/{letter}{"A" * 63}">x</a>\r\n'
        for letter in "BCDEFGHIJKLMNOPQRSTUVWXYZ"
    ]
    milter.send()
    milter.clock.advance(2)
    rotate_keys(str(milter.key_directory))
    reads: list[None] = []
    milter.world.keys._read = lambda: reads.append(None)  # type: ignore[method-assign]

    for _ in range(3):
        milter.send(body="".join(links).encode())

    assert [None] == reads


def test_a_reply_keeps_quoted_links_and_gets_its_own_image(milter: Milter) -> None:
    """Another Message-ID: the quoted tokens stay as they are."""
    _, first = milter.send()
    assert first.body is not None
    fields = [f if f[0] != "Message-ID" else ("Message-ID", "<2@kontor.example>") for f in FIELDS]

    _, reply = milter.send(fields, first.body)

    assert reply.body is not None
    assert reply.body.count(b"/o/") == 2
    for quoted in re.findall(rb"https://track\.kontor\.example/[^\"]+", first.body):
        assert quoted in reply.body


def test_urls_of_the_tracking_domain_that_are_no_tokens_of_ours(milter: Milter) -> None:
    """Left are links whose token opens, no others: a page that stands there is a page."""
    _, first = milter.send()
    assert first.body is not None
    token = re.search(rb"https://track\.kontor\.example/c/[^\"]+", first.body)
    assert token is not None
    urls = [
        "https://track.kontor.example/pricing",
        "https://track.kontor.example/c/" + "A" * 64,
        token[0].decode(),
    ]
    body = "".join(f'<a href="{url}">x</a>\r\n' for url in urls).encode()
    fields = [f if f[0] != "Message-ID" else ("Message-ID", "<2@kontor.example>") for f in FIELDS]

    milter.send(fields, body)
    (row,) = (row for row in milter.rows() if row.message_id == "<2@kontor.example>")

    assert [(url, url != urls[2]) for url in urls] == [
        (x.destination, x.tracked) for x in row.links
    ]
    assert row.links[2].reason == Reason.ALREADY_TRACKED
