"""One copy a recipient: the re-injection that Postfix does by itself, with our milter behind it.

The lines are those of the manual: the listener that apps talk to has no milter and hands every
message to a transport with one recipient a delivery; that one submits again, over loopback, to a
listener called openclick-inject, which carries the milter.
"""

import base64
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support import messages
from support.deployment import OFF_DOMAIN, Deployment, as_submitted, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.passage import SENDER, arrivals, message_id_of, row_of
from support.postfix import Listener, PrivatePostfix
from support.processes import LOOPBACK, wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import SendResult, send
from support.smtp_sink import SinkMessage, SmtpSink
from support.smtp_wire import SmtpWire, dotted
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

LOGIN = ("app", "secret")
FORGED_HELOS = [
    "x (Authenticated sender: boss) with ESMTPA id FORGED1234",
    "x (y [192.0.2.1]) (Authenticated sender: boss) by z (Postfix) with ESMTPA id FORGED1234; date",
]
INJECT = {
    "milter_macro_daemon_name": "openclick-inject",
    "content_filter": "",
    "cleanup_service_name": "oc_cleanup",
    "message_size_limit": "0",
    "smtpd_sasl_auth_enable": "no",
    "smtpd_tls_security_level": "none",
    "smtpd_client_restrictions": "",
    "smtpd_helo_restrictions": "",
    "smtpd_sender_restrictions": "",
    "smtpd_recipient_restrictions": "permit_mynetworks, reject",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "mynetworks": "127.0.0.0/8",
    "smtpd_authorized_xforward_hosts": "127.0.0.0/8",
    "smtpd_authorized_xclient_hosts": "",
    "receive_override_options": "no_address_mappings, no_unknown_recipient_checks, "
    "no_header_body_checks",
}
TRANSPORT = """\
oc_split unix - - n - 20 smtp
  -o smtp_send_xforward_command=yes
  -o disable_mime_output_conversion=yes
  -o smtp_tls_security_level=none
"""
CLEANUP = "oc_cleanup unix n - n - 0 cleanup\n  -o message_size_limit=40960000\n"


@dataclass
class Split:
    """The set-up: `submission` is what apps talk to, `inject` the second listener."""

    deployment: Deployment
    submission: Listener
    inject: Listener


@pytest.fixture(scope="module")
def split(sink: SmtpSink, dns_server: DnsServer, receiver: WebhookReceiver) -> Iterator[Split]:
    """Give a Postfix of this module's own, as `openclick postfix --per-recipient` sets it up."""
    settings = {
        "oc_split_destination_recipient_limit": "1",
        # As where another milter stands in main.cf: neither listener may inherit it.
        "smtpd_milters": "unix:nobody/there.sock",
    }
    with PrivatePostfix(sink.port, main_cf=settings) as postfix, Installation() as installation:
        deployment = deploy(installation, postfix, dns_server, receiver)
        postfix.add_service(TRANSPORT)
        postfix.add_service(CLEANUP)
        inject = postfix.add_listener(
            "inject", "unix:openclick/milter.sock", "tempfail", options=INJECT
        )
        submission = postfix.add_listener(
            "apps",
            options={
                "content_filter": f"oc_split:[{LOOPBACK}]:{inject.port}",
                "smtpd_sasl_authenticated_header": "yes",
            },
            sasl=True,
        )
        yield Split(deployment, submission, inject)


def readers(count: int) -> list[str]:
    """Return so many recipients."""
    return [f"reader{number:02}@reader.example" for number in range(count)]


def submit(split: Split, raw: bytes, recipients: list[str], **how: str) -> SendResult:
    """Submit a mail as an app that logs in."""
    sent = send(split.submission, how.pop("sender", SENDER), recipients, raw, login=LOGIN, **how)  # type: ignore[arg-type]
    assert sent.accepted, sent.text
    return sent


def submit_by_hand(split: Split, raw: bytes, helo: str, recipient: str) -> str:
    """Submit a mail with any HELO and any recipient; return its queue id."""
    login = base64.b64encode("\0".join(("", *LOGIN)).encode()).decode()
    with SmtpWire(split.submission) as wire:
        code, text = wire.command(
            f"EHLO {helo}",
            f"AUTH PLAIN {login}",
            f"MAIL FROM:<{SENDER}>",
            f"RCPT TO:<{recipient}>",
            "DATA",
        )
        assert code == 354, text
        code, text = wire.say(dotted(raw))
    assert code == 250, text
    return text.split()[-1]


def copies(split: Split, sink: SmtpSink, raw: bytes, count: int) -> list[SinkMessage]:
    """Wait for the copies of a mail and for the queue to be empty; return all that arrived."""
    wait_until(lambda: len(arrivals(sink, raw)) >= count, 30.0, f"{count} copies")
    split.deployment.postfix.wait_for_empty_queue()
    marker = message_id_of(raw)
    return [message for message in sink.messages if marker in message.headers_bytes]


def own_id_of(message: SinkMessage) -> str:
    """Return the queue id of the second pass: the one that the top Received names."""
    found = re.search(rb"\bid (\w+)", message.headers_bytes)
    assert found is not None
    return found[1].decode("ascii")


def stored(split: Split, column: str, raw: bytes) -> list[object]:
    """Return a column of messages.db for all rows of a mail."""
    path = split.deployment.installation.state / "messages.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            f"SELECT {column} FROM messages WHERE message_id = ?",
            (message_id_of(raw).decode("ascii"),),
        ).fetchall()
    finally:
        connection.close()
    return [value for (value,) in rows]


class TestCopies:
    """N recipients are N passes and N copies."""

    @pytest.mark.parametrize("count", [1, 3, 50])
    def test_each_recipient_gets_one_copy_of_its_own(
        self, split: Split, sink: SmtpSink, count: int
    ) -> None:
        """Each copy has one recipient and tokens that no other copy has; nobody gets two."""
        raw, everybody = messages.newsletter(), readers(count)

        submit(split, raw, everybody)
        arrived = copies(split, sink, raw, count)
        tokens = [
            url
            for message in arrived
            for url in tracking_links(message.content) + open_images(message.content)
        ]

        assert Counter((name,) for name in everybody) == Counter(m.recipients for m in arrived)
        assert {(1, 7)} == {
            (len(open_images(m.content)), len(tracking_links(m.content))) for m in arrived
        }
        assert count * 8 == len(set(tokens))

    @pytest.mark.parametrize("count", [1, 3, 50])
    def test_row_of_each_copy_names_its_one_reader(
        self, split: Split, sink: SmtpSink, count: int
    ) -> None:
        """There are as many rows as copies, each with the queue id and recipient of its pass."""
        raw, everybody = messages.newsletter(), readers(count)

        submit(split, raw, everybody)
        arrived = copies(split, sink, raw, count)

        assert count == len(stored(split, "queue_id", raw))
        for message in arrived:
            row = row_of(split.deployment, own_id_of(message))
            assert message.recipients == row.recipients

    def test_same_reader_twice(self, split: Split, sink: SmtpSink) -> None:
        """An address that is given twice gets one copy."""
        raw = messages.newsletter()

        submit(split, raw, [*readers(2), *readers(2)])
        arrived = copies(split, sink, raw, 2)

        assert sorted((name,) for name in readers(2)) == sorted(m.recipients for m in arrived)

    def test_two_messages_of_one_moment(self, split: Split, sink: SmtpSink) -> None:
        """Copies of two mails that pass at the same time do not mix."""
        one, other = messages.newsletter(subject="one"), messages.newsletter(subject="other")

        submit(split, one, readers(5))
        submit(split, other, readers(5))
        both = copies(split, sink, one, 5), copies(split, sink, other, 5)
        tokens = [{u for m in each for u in tracking_links(m.content)} for each in both]

        assert (5, 5) == (len(both[0]), len(both[1]))
        assert (35, 35, 70) == (*map(len, tokens), len(tokens[0] | tokens[1]))


class TestTrust:
    """The listener called openclick-inject is obeyed although the mail was received before."""

    def test_control_headers_are_obeyed_and_removed(self, split: Split, sink: SmtpSink) -> None:
        """Toggles and labels work on the second pass as on a direct one."""
        raw = messages.newsletter(
            headers={"X-Anypost-Track-Opens": "no", "X-Anypost-Tags": "spring"}
        )

        submit(split, raw, readers(2))
        arrived = copies(split, sink, raw, 2)
        rows = [row_of(split.deployment, own_id_of(message)) for message in arrived]

        assert {(0, 7)} == {
            (len(open_images(m.content)), len(tracking_links(m.content))) for m in arrived
        }
        assert not any(b"X-Anypost" in message.headers_bytes for message in arrived)
        assert {("spring",)} == {row.labels.tags for row in rows}

    def test_untracked_domain_passes_as_it_came(self, split: Split, sink: SmtpSink) -> None:
        """Each copy of a mail whose domain is off is byte-identical below Postfix's own fields."""
        raw = messages.newsletter(sender=f"a@{OFF_DOMAIN}")

        submit(split, raw, readers(3))
        arrived = copies(split, sink, raw, 3)

        assert {raw} == {as_submitted(message.content) for message in arrived}

    def test_same_mail_by_another_loopback_listener(self, split: Split, sink: SmtpSink) -> None:
        """Through a listener with another name a mail that carries Received is not obeyed."""
        raw = b"Received: from x by y; Tue, 04 Nov 2025 10:00:00 +0000\r\n" + messages.newsletter()

        sent = send(split.deployment.submission, SENDER, readers(1), raw)
        arrived = copies(split, sink, raw, 1)

        assert sent.accepted
        assert arrived[0].content.endswith(raw)


class TestTraces:
    """What ties the passes of one message together."""

    def test_passes_of_one_message_share_one_email_id(self, split: Split, sink: SmtpSink) -> None:
        """Three copies are three rows with one email_id; another message has another one."""
        raw, other = messages.newsletter(), messages.newsletter()

        submit(split, raw, readers(3))
        submit(split, other, readers(2))
        copies(split, sink, raw, 3)
        copies(split, sink, other, 2)
        ids, other_ids = stored(split, "email_id", raw), stored(split, "email_id", other)

        assert (3, 1) == (len(ids), len(set(ids)))
        assert (2, 1) == (len(other_ids), len(set(other_ids)))
        assert set(ids).isdisjoint(other_ids)
        assert 3 == len(set(stored(split, "copy", raw)))

    def test_same_message_id_twice_is_two_messages(self, split: Split, sink: SmtpSink) -> None:
        """An app that sends the same Message-ID again gets another email_id: another queue id."""
        raw = messages.newsletter()

        submit(split, raw, readers(2))
        copies(split, sink, raw, 2)
        submit(split, raw, readers(2))
        copies(split, sink, raw, 4)

        assert (4, 2) == (
            len(stored(split, "email_id", raw)),
            len(set(stored(split, "email_id", raw))),
        )

    def test_rows_keep_first_queue_id_and_login(self, split: Split, sink: SmtpSink) -> None:
        """The id that the app's 250 named, and who logged in, stand in each copy's row."""
        raw = messages.newsletter()

        sent = submit(split, raw, readers(3))
        copies(split, sink, raw, 3)

        assert [sent.queue_id] * 3 == stored(split, "first_queue_id", raw)
        assert ["app"] * 3 == stored(split, "login", raw)

    def test_forged_received_field_tells_nothing(self, split: Split, sink: SmtpSink) -> None:
        """Only the topmost Received, Postfix's own, tells the login and the first queue id."""
        forged = (
            b"Received: from evil (evil [203.0.113.9])\r\n"
            b"\t(Authenticated sender: boss) by mail.openclick.example (Postfix)\r\n"
            b"\twith ESMTPA id 4FORGEDxxxxxxx; Tue, 04 Nov 2025 10:00:00 +0000 (UTC)\r\n"
        )
        raw = forged + messages.newsletter()

        sent = submit(split, raw, readers(1))
        copies(split, sink, raw, 1)

        assert [sent.queue_id] == stored(split, "first_queue_id", raw)
        assert ["app"] == stored(split, "login", raw)

    @pytest.mark.parametrize("helo", FORGED_HELOS)
    def test_forged_helo_tells_nothing(self, split: Split, sink: SmtpSink, helo: str) -> None:
        """What a client calls itself stands leftmost in Postfix's own field, and is no login."""
        raw = messages.newsletter()

        queue_id = submit_by_hand(split, raw, helo, readers(1)[0])
        (copy,) = copies(split, sink, raw, 1)

        assert b"FORGED1234" in copy.headers_bytes
        assert [queue_id] == stored(split, "first_queue_id", raw)
        assert ["app"] == stored(split, "login", raw)

    def test_forged_recipient_tells_nothing(self, split: Split, sink: SmtpSink) -> None:
        """Postfix writes a reader's address as it is: one that imitates a queue id hides it."""
        raw = messages.newsletter()

        submit_by_hand(split, raw, "app", '"a; id FORGED1234 for <b"@reader.example')
        (copy,) = copies(split, sink, raw, 1)

        assert copy.headers_bytes.count(b"; id FORGED1234 for <b") == 2
        assert [None] == stored(split, "first_queue_id", raw)

    def test_direct_submission_keeps_its_login(self, split: Split, sink: SmtpSink) -> None:
        """Without a split the login is Postfix's macro, and the queue id is the only one."""
        raw = messages.newsletter()

        sent = send(split.deployment.sasl, SENDER, readers(1), raw, login=LOGIN)
        copies(split, sink, raw, 1)

        assert ["app"] == stored(split, "login", raw)
        assert stored(split, "first_queue_id", raw) in ([None], [sent.queue_id], [""])


class TestFaults:
    """The second pass fails after the app has had its 250."""

    def test_milter_away_for_a_while(self, split: Split, sink: SmtpSink) -> None:
        """Under tempfail the copies wait in the queue; then each goes out once, tracked."""
        installation, postfix = split.deployment.installation, split.deployment.postfix
        assert installation.milter is not None
        raw, log = messages.newsletter(), len(postfix.queue_log())

        installation.milter.kill9()
        submit(split, raw, readers(3))
        postfix.wait_for_log(r"(?s)(status=deferred.*){3}", start=log)
        before = len(arrivals(sink, raw))
        installation.start_milter()
        postfix.flush()
        arrived = copies(split, sink, raw, 3)

        assert 0 == before
        assert sorted((name,) for name in readers(3)) == sorted(m.recipients for m in arrived)
        assert {7} == {len(tracking_links(message.content)) for message in arrived}

    def test_envelope_id(self, split: Split, sink: SmtpSink) -> None:
        """ENVID reaches the row of every copy."""
        raw = messages.newsletter()

        sent = send(
            split.submission,
            SENDER,
            readers(2),
            raw,
            login=LOGIN,
            mail_options=["RET=HDRS", "ENVID=order-4711"],
        )
        copies(split, sink, raw, 2)

        assert sent.accepted
        assert ["order-4711"] * 2 == stored(split, "envelope_id", raw)
