"""The milter fails inside the replacement of a body, and lives: Postfix has a piece by then."""

import dataclasses
from collections.abc import Iterator

import pytest

from support import messages
from support.deployment import Deployment, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.passage import SENDER, arrivals, large_mail, without_controls
from support.postfix import PrivatePostfix
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

_NO_MEMORY_FOR_THE_SECOND_PIECE = """
from openclick_milter import callbacks, main

send_on = callbacks.OpenClickMilter.replacebody
pieces = []

def replacebody(self, piece):
    pieces.append(len(piece))
    if len(pieces) == 2:
        raise MemoryError
    send_on(self, piece)

callbacks.OpenClickMilter.replacebody = replacebody
main.main()
"""


@pytest.fixture
def short(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give a deployment whose milter fails once, at the second piece that it sends."""
    with Installation() as installation:
        python, *_ = installation.programs.milter
        installation.programs = dataclasses.replace(
            installation.programs, milter=(python, "-P", "-c", _NO_MEMORY_FOR_THE_SECOND_PIECE)
        )
        yield deploy(installation, postfix, dns_server, receiver, "short")


def test_the_mail_is_sent_again(short: Deployment, sink: SmtpSink) -> None:
    """Under `accept` too: nothing is delivered cut short, and the second try goes through."""
    raw = large_mail()

    first = send(short.submission, SENDER, messages.RECIPIENTS, raw)
    short.postfix.wait_for_empty_queue()
    left = arrivals(sink, raw)
    second = send(short.submission, SENDER, messages.RECIPIENTS, raw)
    short.postfix.wait_for_empty_queue()

    assert (451, [], 250) == (first.code, left, second.code)
    assert 1 == len(arrivals(sink, raw))
    assert len(without_controls(raw)) < len(arrivals(sink, raw)[0])
    assert "internal error in the edits sent_again=yes" in short.milter_log()
