"""`openclick explain message ID`: what the milter did, from its message rows."""

import pytest

from openclick.ids import format_email_id
from openclick.messages import Outcome
from unit.admin.command_line import CommandLine
from unit.samples import COPY, DESTINATION, DOMAIN, EMAIL_ID_TEXT, TRACKING_DOMAIN, a_message

pytestmark = pytest.mark.usefixtures("tracked_domain")


class TestRows:
    """What the milter did, from its message rows."""

    @pytest.mark.parametrize(
        "wanted",
        [
            "4Xk2Q1z0",
            "4Xk2Q1first",
            EMAIL_ID_TEXT,
            "<1@kontor.example>",
            "1@kontor.example",
        ],
        ids=["queue id", "first queue id", "email id", "Message-ID", "without brackets"],
    )
    def test_a_row_is_found_by_each_id(self, openclick: CommandLine, wanted: str) -> None:
        """Whichever the admin has at hand; a split message has two queue ids."""
        other = a_message(email_id=bytes(16), queue_id="x", message_id="<2@kontor.example>")
        openclick.record(a_message(first_queue_id="4Xk2Q1first"), other)

        found = openclick("explain", "message", wanted, "--json").json

        assert [row["email_id"] for row in found] == [EMAIL_ID_TEXT]

    def test_a_row_is_told_whole(self, openclick: CommandLine) -> None:
        """Outcome, decision, labels, links and image, in the glossary's words."""
        openclick.record(a_message())

        (row,) = openclick("explain", "message", EMAIL_ID_TEXT, "--json").json

        assert row == {
            "email_id": EMAIL_ID_TEXT,
            "copy": COPY.hex(),
            "queue_id": "4Xk2Q1z0",
            "first_queue_id": None,
            "login": None,
            "message_id": "<1@kontor.example>",
            "envelope_id": "QQ314159",
            "created_at": "2025-11-23T22:40:00.123Z",
            "outcome": "instrumented",
            "reason": "",
            "sender": "bounces@kontor.example",
            "from": "Kontor Nord <news@kontor.example>",
            "recipients": ["anna@reader.example"],
            "subject": "Jackets – and boots",
            "sending_domain": DOMAIN,
            "tracking_domain": TRACKING_DOMAIN,
            "decision": {
                "opens": {"on": True, "reason": "domain default is on"},
                "clicks": {"on": True, "reason": "header says on"},
            },
            "tags": ["autumn", "boots"],
            "topic": "news.weekly",
            "campaign": "nov-2025",
            "headers": {"x_order": "17"},
            "links": [
                {"index": 0, "destination": DESTINATION, "tracked": True, "reason": ""},
                {"index": 1, "destination": "#top", "tracked": False, "reason": "anchor"},
            ],
            "image": {"placed": True, "reason": "before </body>"},
        }

    def test_what_an_instrumented_message_has_left(self, openclick: CommandLine) -> None:
        """The parts that stayed as they are, each with its reason."""
        left = "part 2 left: unknown transfer encoding; part 4 left: bad base64"
        openclick.record(a_message(reason=left))

        text = openclick("explain", "message", EMAIL_ID_TEXT).text

        assert f"outcome          instrumented: {left}\n" in text

    def test_every_copy_is_told(self, openclick: CommandLine) -> None:
        """Oldest first."""
        openclick.record(
            a_message(copy=b"late", created_at=2, outcome=Outcome.UNTOUCHED, reason="attachment"),
            a_message(copy=b"soon", created_at=1),
        )

        text = openclick("explain", "message", EMAIL_ID_TEXT).text

        assert text.index(b"soon".hex()) < text.index(b"late".hex())
        assert "outcome          untouched: attachment\n" in text

    @pytest.mark.parametrize(
        ("wanted", "status", "told"),
        [
            ("4Xk2Q1z0", 1, "4Xk2Q1z0: no such file, and no message row has this id"),
            ("<9@kontor.example>", 1, "<9@kontor.example>: no such file, and no message row"),
            (format_email_id(bytes(16)), 1, "no message row has this id"),
            ("email_17", 2, "'email_17' is no email id"),
            ("./mail.eml", 1, "./mail.eml: no such file, and no id of a message"),
        ],
        ids=["queue id", "Message-ID", "email id", "malformed", "file"],
    )
    def test_what_is_not_found(
        self, openclick: CommandLine, wanted: str, status: int, told: str
    ) -> None:
        """One line says so."""
        openclick.record(a_message(queue_id="other"))

        done = openclick("explain", "message", wanted)

        assert (done.status, done.out) == (status, b"")
        assert told in done.err

    def test_without_rows(self, openclick: CommandLine) -> None:
        """A store in which the milter has not written yet ends with 69."""
        assert openclick("explain", "message", "4Xk2Q1z0").status == 69
