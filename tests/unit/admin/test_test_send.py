"""`openclick test-send` before and after Postfix: the mail, its options, and why no row appears."""

from contextlib import closing
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import click
import pytest

from openclick.instants import SECOND, now
from openclick.store import Heartbeat, Store, open_store
from openclick_admin.context import Admin
from openclick_admin.postconf import Postfix, Service
from openclick_admin.probe_mail import Smtp, a_probe, is_address
from openclick_admin.unrecorded import heartbeat_reason, place_reason
from unit.admin.command_line import CommandLine
from unit.samples import a_domain

OWN = "unix:openclick/milter.sock"


def test_the_mail_shows_each_outcome() -> None:
    """Text and HTML; a link to track, one that opts out, an anchor; no control header unasked."""
    mail = a_probe("news@kontor.example", "you@reader.example", None, 0)

    read = message_from_bytes(mail.as_bytes(), policy=default)
    html = read.get_body(("html",))
    assert html is not None
    assert html.get_content().count("href=") == 3
    assert not any(name.startswith("X-") for name in read)
    assert read["Message-ID"].endswith("@kontor.example>")


def test_control_headers_have_the_admins_prefix() -> None:
    """--tracked asks for both."""
    mail = a_probe("news@kontor.example", "you@reader.example", "X-Mine-", 0)

    assert (mail["X-Mine-Track-Opens"], mail["X-Mine-Track-Clicks"]) == ("true", "true")


WRONG_ADDRESSES = (
    *("you", "@reader.example", "you@", "-f@reader.example", "a@b@reader.example"),
    *("root,you@reader.example", "a@b.example, you@reader.example", "<you@reader.example>"),
    *('("b@>-),"', ":;]@.bb;::", "=?utf-8?q?you?=@reader.example", "you..me@reader.example"),
    *("you you@reader.example", "you@reader.example\n", "You <you@reader.example>", ""),
)


@pytest.mark.parametrize("text", ["you@reader.example", "jörg@reader.example", "a+b@[192.0.2.1]"])
def test_an_address(text: str) -> None:
    """What the header, and so the envelope, takes for this very one."""
    mail = a_probe("news@kontor.example", text, None, 0)

    assert is_address(text)
    assert [text] == [each.addr_spec for each in mail["To"].addresses]


@pytest.mark.parametrize("text", WRONG_ADDRESSES)
def test_no_address(text: str) -> None:
    """A slip must not send a mail to somebody else, to the local user root say."""
    assert not is_address(text)


@pytest.mark.parametrize("text", ["a,b@kontor.example", "<news@kontor.example"])
def test_a_sender_that_is_no_address(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    text: str,
) -> None:
    """Is refused before anything is sent, though its domain is added."""
    openclick = CommandLine(tmp_path, monkeypatch, capfdbinary)
    openclick.add(a_domain())

    done = openclick("test-send", "you@reader.example", "--from", text, "--wait", "0")

    assert (2, b"") == (done.status, done.out)
    assert "--from" in done.err


@pytest.mark.parametrize(
    ("text", "host", "port"), [("127.0.0.1:587", "127.0.0.1", 587), ("[::1]:25", "::1", 25)]
)
def test_a_server_is_an_address_and_a_port(text: str, host: str, port: int) -> None:
    """IPv6 in brackets."""
    smtp = Smtp.parsed(text, None, "")

    assert (smtp.host, smtp.port, smtp.login) == (host, port, "")


@pytest.mark.parametrize("text", ["localhost", ":25", "localhost:0", "localhost:x", "h:70000"])
def test_a_wrong_server_is_refused(text: str) -> None:
    """In click's words."""
    with pytest.raises(click.BadParameter, match="need HOST:PORT"):
        Smtp.parsed(text, None, "")


class TestHeartbeat:
    """What the milter's heartbeat tells about a missing row."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """Return the store of the settings."""
        return open_store(f"sqlite:{tmp_path}")

    @pytest.fixture
    def admin(self, tmp_path: Path) -> Admin:
        """Return the command's view of it."""
        path = tmp_path / "openclick.toml"
        path.write_text(f'[store]\nurl = "sqlite:{tmp_path}"\n', "utf-8")
        return Admin(str(path))

    def test_no_file_means_the_milter_never_started(self, admin: Admin) -> None:
        """It makes messages.db."""
        assert "openclick-milter makes it when it starts" in heartbeat_reason(admin)

    def test_no_heartbeat_means_it_never_ran(self, admin: Admin, store: Store) -> None:
        """The file alone is no sign of life."""
        store.message_log().close()

        assert "never run" in heartbeat_reason(admin)

    @pytest.mark.parametrize(("age_seconds", "found"), [(5, False), (600, True)])
    def test_an_old_heartbeat_means_it_is_away(
        self, admin: Admin, store: Store, age_seconds: int, found: bool
    ) -> None:
        """A fresh one says nothing."""
        at = now() - age_seconds * SECOND
        with closing(store.message_log()) as log:
            log.beat(Heartbeat(1, "0", at, at, {}))

        reason = heartbeat_reason(admin)

        assert ("last sign of life" in reason) is found


class TestPlace:
    """Whether Postfix asks the milter at all."""

    def postfix(self, milters: str = "", **parameters: Any) -> Postfix:
        """Return a Postfix with one submission service."""
        service = Service("submission", "inet", True, "smtpd", {"smtpd_milters": milters})
        return Postfix(Path("/etc/postfix"), parameters, (service,))

    def test_sendmail_needs_non_smtpd_milters(self) -> None:
        """Named there, nothing is wrong."""
        named = f"{{ {OWN}, default_action=accept }}, unix:other"

        assert "non_smtpd_milters" in place_reason(self.postfix(), OWN, by_sendmail=True)
        assert place_reason(self.postfix(non_smtpd_milters=named), OWN, by_sendmail=True) == ""

    def test_smtp_needs_a_listener_that_names_it(self) -> None:
        """Where one does, it may be another, or the client is not trusted."""
        none = place_reason(self.postfix(), OWN, by_sendmail=False)
        one = place_reason(self.postfix(OWN), OWN, by_sendmail=False)

        assert none == f"No smtpd of master.cf names {OWN}: openclick postfix --apply."
        assert "trusted_networks" in one
