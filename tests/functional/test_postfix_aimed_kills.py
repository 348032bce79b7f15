"""The milter dies at one packet of its talk with Postfix: each stage, every time the same.

What a kill costs is the admin's choice (ADR 0004, docs/troubleshooting.md): under `tempfail` the
client is told to come again and nothing is half done; under `accept` the mail goes out as Postfix
has it by then, and one whose replacement had begun is lost or damaged.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from support import messages
from support.deployment import Deployment, as_submitted, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.milter_relay import MilterRelay, Packet
from support.passage import (
    CONTROLS,
    HREF,
    SENDER,
    arrivals,
    large_mail,
    marks,
    message_id_of,
    undone,
    without_controls,
)
from support.postfix import Listener, PrivatePostfix
from support.processes import wait_until
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

CHUNK_BYTES = 65_535

BEFORE_ITS_ANSWER = {
    # Letters of the milter protocol: what Postfix says when the milter dies.
    "options": Packet("postfix", "O"),
    "connect": Packet("postfix", "C"),
    "a header field": Packet("postfix", "L", 3),
    "end of headers": Packet("postfix", "N"),
    "body": Packet("postfix", "B", 2),
    "end of message": Packet("postfix", "E"),
}
BETWEEN_ITS_EDITS = {
    # The packet that the milter did not send any more, and how many fields it had taken out.
    "before the first edit": (Packet("milter", "m"), 0),
    "between two header edits": (Packet("milter", "m", 2), 1),
    "between header edits and body": (Packet("milter", "b"), 2),
}
INSIDE_THE_BURST = {
    "after the first chunk": Packet("milter", "b", 2),
    "in the middle": Packet("milter", "b", 3),
    "before the last chunk": Packet("milter", "b", 5),
    "before the final reply": Packet("milter", "a"),
}


@dataclass
class Range:
    """A deployment behind a relay, with a listener for either default action."""

    deployment: Deployment
    relay: MilterRelay
    tempfail: Listener
    accept: Listener

    def submit(self, listener: Listener, raw: bytes, packet: Packet) -> int:
        """Submit a mail, with the milter killed at `packet`; it runs again on return."""
        self.relay.aim(packet)
        code = send(listener, SENDER, messages.RECIPIENTS, raw).code
        wait_until(lambda: self.relay.struck, 20.0, f"the milter's death at {packet}")
        self.deployment.installation.start_milter()
        return code

    def outcomes(self, raw: bytes) -> list[str]:
        """Return what the rows of a mail say became of it."""
        with closing(self.deployment.installation.store.message_reader()) as reader:
            rows = reader.many_by_message_id(message_id_of(raw).decode("ascii"))
        return [str(row.outcome) for row in rows]

    def arrived(self, sink: SmtpSink, raw: bytes) -> list[bytes]:
        """Return every arrival of a mail once nothing is left to deliver, as it was submitted."""
        self.deployment.postfix.wait_for_empty_queue()
        return [as_submitted(content) for content in arrivals(sink, raw)]

    def corrupt(self) -> int:
        """Count the queue files that Postfix has set aside as corrupt."""
        return len(self.deployment.postfix.corrupt_files())


@pytest.fixture(scope="module")
def range_(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Range]:
    """Give a deployment of this module's own."""
    with Installation() as installation:
        deployment = deploy(installation, postfix, dns_server, receiver, "aimed")

        def kill() -> None:
            assert installation.milter is not None
            installation.milter.kill9()
            installation.milter.close()

        directory = postfix.queue_dir / "aimed"
        with MilterRelay(directory / "relay.sock", directory / "milter.sock", kill) as relay:
            tempfail = postfix.add_listener("aimed-strict", "unix:aimed/relay.sock", "tempfail")
            accept = postfix.add_listener("aimed-accept", "unix:aimed/relay.sock", "accept")
            yield Range(deployment, relay, tempfail, accept)


def controls_of(raw: bytes) -> int:
    """Count the control headers of a mail."""
    return len(re.findall(rb"^X-Anypost-", raw, re.MULTILINE))


def require_tracked(mails: list[bytes], raw: bytes) -> None:
    """Check that a mail has arrived once, tracked, and is otherwise what was submitted."""
    assert [without_controls(raw)] == [undone(mail, [HREF]) for mail in mails]
    assert [(1, 1)] == [marks(mail) for mail in mails]


def test_what_postfix_and_the_milter_say(range_: Range, sink: SmtpSink) -> None:
    """Undisturbed: two header edits, then the body in several chunks, then one reply."""
    raw = large_mail()

    assert send(range_.tempfail, SENDER, messages.RECIPIENTS, raw).accepted
    mails = range_.arrived(sink, raw)
    said = range_.relay.said
    edits = [kind for side, kind in said[said.index(("postfix", "E")) :] if side == "milter"]

    require_tracked(mails, raw)
    assert ["m", "m", "b", "b", "b", "b", "b", "a"] == edits
    assert set("OCLNBE") <= {kind for side, kind in said if side == "postfix"}


class TestTempfail:
    """Nothing is lost and nothing half done: the client is told to come again."""

    @pytest.mark.parametrize("packet", BEFORE_ITS_ANSWER.values(), ids=BEFORE_ITS_ANSWER)
    def test_before_its_answer(self, range_: Range, sink: SmtpSink, packet: Packet) -> None:
        """No row and no mail is left behind; the second try goes through."""
        raw = large_mail()

        code = range_.submit(range_.tempfail, raw, packet)
        left = range_.arrived(sink, raw), range_.outcomes(raw)

        assert code == 451
        assert ([], []) == left
        _require_second_try(range_, sink, raw)
        assert ["instrumented"] == range_.outcomes(raw)

    @pytest.mark.parametrize(
        "packet",
        [*(packet for packet, _ in BETWEEN_ITS_EDITS.values()), *INSIDE_THE_BURST.values()],
        ids=[*BETWEEN_ITS_EDITS, *INSIDE_THE_BURST],
    )
    def test_among_its_edits(self, range_: Range, sink: SmtpSink, packet: Packet) -> None:
        """No mail and no corrupt file is left, only a row that was committed before the edits."""
        raw = large_mail()
        corrupt_before = range_.corrupt()

        code = range_.submit(range_.tempfail, raw, packet)
        left = range_.arrived(sink, raw), range_.outcomes(raw)

        assert code == 451
        assert ([], ["instrumented"]) == left
        _require_second_try(range_, sink, raw)
        assert corrupt_before == range_.corrupt()

    def test_after_its_last_reply(self, range_: Range, sink: SmtpSink) -> None:
        """The mail is through, and only the next one would notice."""
        raw = large_mail()

        code = range_.submit(range_.tempfail, raw, Packet("postfix", "Q"))

        assert code == 250
        require_tracked(range_.arrived(sink, raw), raw)


class TestAccept:
    """The client notices nothing."""

    @pytest.mark.parametrize("packet", BEFORE_ITS_ANSWER.values(), ids=BEFORE_ITS_ANSWER)
    def test_before_its_answer(self, range_: Range, sink: SmtpSink, packet: Packet) -> None:
        """The mail is delivered once, byte for byte as it came, and no row says otherwise."""
        raw = large_mail()

        code = range_.submit(range_.accept, raw, packet)

        assert code == 250
        assert [raw] == range_.arrived(sink, raw)
        assert [] == range_.outcomes(raw)

    @pytest.mark.parametrize("case", BETWEEN_ITS_EDITS.values(), ids=BETWEEN_ITS_EDITS)
    def test_before_the_replacement(
        self, range_: Range, sink: SmtpSink, case: tuple[Packet, int]
    ) -> None:
        """The mail is delivered once, its body as it came, without the fields taken out by then."""
        packet, taken_out = case
        raw = large_mail()

        code = range_.submit(range_.accept, raw, packet)
        [arrived] = range_.arrived(sink, raw)

        assert code == 250
        assert without_controls(raw) == without_controls(arrived)
        assert len(CONTROLS) - taken_out == controls_of(arrived)

    @pytest.mark.parametrize("packet", INSIDE_THE_BURST.values(), ids=INSIDE_THE_BURST)
    def test_inside_the_replacement(self, range_: Range, sink: SmtpSink, packet: Packet) -> None:
        """As nearly always: a 250, and then a file in corrupt/ that nobody gets.

        A Postfix that mends this fails here; then docs/troubleshooting.md and ADR 0004 change too.
        """
        raw = large_mail()
        corrupt_before = range_.corrupt()

        code = range_.submit(range_.accept, raw, packet)

        assert code == 250
        assert [] == range_.arrived(sink, raw)
        assert corrupt_before + 1 == range_.corrupt()
        assert ["instrumented"] == range_.outcomes(raw)

    def test_what_is_left_may_look_whole(self, range_: Range, sink: SmtpSink) -> None:
        """Where the old bytes read as the end of a message, the mail is delivered cut short."""
        raw = large_mail(b"X")
        corrupt_before = range_.corrupt()

        code = range_.submit(range_.accept, raw, INSIDE_THE_BURST["after the first chunk"])
        [arrived] = range_.arrived(sink, raw)

        assert code == 250
        assert marks(arrived) == (1, 1)
        assert len(arrived) < CHUNK_BYTES + 1000
        assert without_controls(raw).startswith(undone(arrived, [HREF]).removesuffix(b"\r\n"))
        assert corrupt_before == range_.corrupt()

    def test_what_is_left_may_be_two_mails_in_one(self, range_: Range, sink: SmtpSink) -> None:
        """Where they read as a line, the old body goes on behind the new one's first chunk."""
        raw = large_mail(b"N")
        corrupt_before = range_.corrupt()

        code = range_.submit(range_.accept, raw, INSIDE_THE_BURST["after the first chunk"])
        [arrived] = range_.arrived(sink, raw)

        assert code == 250
        assert marks(arrived) == (1, 1)
        assert without_controls(raw) != undone(arrived, [HREF])
        assert arrived.endswith(raw[-1000:])
        assert corrupt_before == range_.corrupt()

    def test_after_its_last_reply(self, range_: Range, sink: SmtpSink) -> None:
        """The mail is through."""
        raw = large_mail()

        code = range_.submit(range_.accept, raw, Packet("postfix", "Q"))

        assert code == 250
        require_tracked(range_.arrived(sink, raw), raw)


def _require_second_try(range_: Range, sink: SmtpSink, raw: bytes) -> None:
    """Submit a mail that was refused for the time being once more: it arrives once, tracked."""
    again = send(range_.tempfail, SENDER, messages.RECIPIENTS, raw)
    assert again.accepted, again.text
    require_tracked(range_.arrived(sink, raw), raw)
