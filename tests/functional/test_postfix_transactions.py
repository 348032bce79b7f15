"""A message that is broken off leaves nothing behind for the next one."""

import pytest

from support import messages
from support.deployment import DOMAIN, Deployment, as_submitted, delivered
from support.fixtures import requires_private_postfix
from support.passage import SENDER, arrivals, passed, row_of
from support.postfix import Listener
from support.reading import open_images, tracking_links
from support.smtp_client import SmtpSession
from support.smtp_sink import SmtpSink
from support.smtp_wire import SmtpWire, dotted

pytestmark = requires_private_postfix

READER, STRANGER = "anna@reader.example", "eve@elsewhere.example"
ABORTED = [
    "EHLO app.kontor.example",
    "MAIL FROM:<boss@leise.example> RET=HDRS ENVID=aborted",
    f"RCPT TO:<{STRANGER}>",
]
WANTED = [f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{READER}>", "DATA"]
SMALL_BYTES = 20_000


@pytest.fixture(scope="module")
def small(deployment: Deployment) -> Listener:
    """Give a listener of the shared milter that takes small messages only."""
    return deployment.postfix.add_listener(
        "transactions-small",
        "unix:openclick/milter.sock",
        "accept",
        options={"message_size_limit": str(SMALL_BYTES)},
    )


def queue_id_in(reply: str) -> str:
    """Return the queue id that the 250 after the final dot names."""
    return reply.rpartition(" ")[2]


class TestSameSession:
    """Several transactions on one connection."""

    @pytest.mark.parametrize("breaking_off", ["RSET", "EHLO app.kontor.example", "HELO app"])
    def test_transaction_broken_off_before_data(
        self, deployment: Deployment, sink: SmtpSink, breaking_off: str
    ) -> None:
        """Sender, recipients and ENVID of a message that was given up appear in no row or mail."""
        raw = messages.newsletter()

        with SmtpWire(deployment.submission) as client:
            client.command(*ABORTED, breaking_off, *WANTED)
            code, reply = client.say(dotted(raw))
        arrived = delivered(sink, raw)
        row = row_of(deployment, queue_id_in(reply))

        assert 250 == code, reply
        assert ((READER,), SENDER, None) == (row.recipients, row.sender, row.envelope_id)
        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert [] == [m for m in sink.messages if STRANGER in m.recipients]

    def test_many_resets_between_messages(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Ten messages, each after one that was given up, are each tracked for their own reader."""
        raws = [messages.newsletter() for _ in range(10)]

        with SmtpWire(deployment.submission) as client:
            client.command(ABORTED[0])
            ids = []
            for raw in raws:
                client.command(*ABORTED[1:], "RSET", *WANTED)
                ids.append(queue_id_in(client.say(dotted(raw))[1]))
        mails = [delivered(sink, raw) for raw in raws]
        rows = [row_of(deployment, queue_id) for queue_id in ids]

        assert {(READER,)} == {row.recipients for row in rows}
        assert {7} == {len(tracking_links(mail)) for mail in mails}
        assert 10 == len({open_images(mail)[0] for mail in mails})

    def test_recipient_that_postfix_refuses(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Only recipients that the message goes to stand in its row."""
        raw = messages.newsletter()

        with SmtpWire(deployment.submission) as client:
            client.command("EHLO app.kontor.example", WANTED[0])
            refused, _ = client.command("RCPT TO:<@@>")
            client.command(*WANTED[1:])
            _, reply = client.say(dotted(raw))
        delivered(sink, raw)

        assert 500 <= refused < 600
        assert (READER,) == row_of(deployment, queue_id_in(reply)).recipients

    def test_message_after_one_that_was_too_large(
        self, deployment: Deployment, small: Listener, sink: SmtpSink
    ) -> None:
        """Toggles and recipients of a message refused with 552 do not hold for the next one."""
        large = messages.newsletter(
            headers={"X-Anypost-Track-Clicks": "false", "X-Order": "large"},
            text="A line that fills the message.\n" * (SMALL_BYTES // 20),
        )
        raw = messages.newsletter()

        with SmtpSession(small) as session:
            refused = session.send(SENDER, [READER, STRANGER], large)
            sent = session.send(SENDER, [READER], raw)
        arrived = delivered(sink, raw)
        row = row_of(deployment, sent.queue_id)

        assert 552 == refused.code
        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert ((READER,), {}) == (row.recipients, row.headers)


class TestClientThatGoesAway:
    """A connection that ends without QUIT."""

    @pytest.mark.parametrize("sent_bytes", [0, 40, 2000])
    def test_inside_data(self, deployment: Deployment, sink: SmtpSink, sent_bytes: int) -> None:
        """Half a mail is not delivered, and the next session's mail is tracked as ever."""
        half = messages.newsletter(headers={"X-Anypost-Track-Clicks": "false", "X-Order": "half"})
        raw = messages.newsletter()
        log = len(deployment.postfix.queue_log())

        with SmtpWire(deployment.submission) as client:
            client.command(*ABORTED, "DATA")
            client.write(half[:sent_bytes])
        deployment.postfix.wait_for_log(r"lost connection after DATA", start=log)
        sent, arrived = passed(deployment.submission, sink, raw)
        row = row_of(deployment, sent.queue_id)

        assert [] == arrivals(sink, half)
        assert ((READER,), SENDER, {}) == (row.recipients, row.sender, row.headers)
        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))

    def test_after_a_tracked_message(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A tracked message stays delivered once although its client left inside the next one."""
        raw, half = messages.newsletter(), messages.newsletter()
        log = len(deployment.postfix.queue_log())

        with SmtpWire(deployment.submission) as client:
            client.command("EHLO app.kontor.example", *WANTED)
            client.say(dotted(raw))
            client.command(*WANTED)
            client.write(half[:1000])
        deployment.postfix.wait_for_log(r"lost connection after DATA", start=log)
        delivered(sink, raw)
        deployment.postfix.wait_for_empty_queue()

        assert (1, 0) == (len(arrivals(sink, raw)), len(arrivals(sink, half)))

    def test_sessions_side_by_side(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Two clients in the middle of their messages do not get each other's domain or reader."""
        tracked = messages.newsletter()
        untracked = messages.newsletter(sender="a@leise.example")

        with SmtpWire(deployment.submission) as one, SmtpWire(deployment.submission) as other:
            one.command("EHLO one.example", *WANTED)
            other.command("EHLO other.example", f"MAIL FROM:<a@{DOMAIN}>")
            one.write(dotted(tracked)[:500])
            other.command(f"RCPT TO:<{STRANGER}>", "DATA")
            other.write(dotted(untracked)[:700])
            _, first = one.say(dotted(tracked)[500:])
            other.say(dotted(untracked)[700:])
        arrived = delivered(sink, tracked)

        assert 7 == len(tracking_links(arrived))
        assert (READER,) == row_of(deployment, queue_id_in(first)).recipients
        assert untracked == as_submitted(delivered(sink, untracked))
