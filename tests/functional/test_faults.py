"""Whatever fails on our side, the mail goes out and a sent link works."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.config import EX_CONFIG
from openclick.messages import Message, Outcome
from support import messages
from support.deployment import BROWSER, DOMAIN, Deployment, as_submitted, delivered, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.installation import Installation
from support.passage import message_id_of
from support.postfix import PrivatePostfix
from support.processes import DaemonError, port_listens, wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

EX_UNAVAILABLE = 69


@pytest.fixture(scope="module")
def fragile(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give a deployment of this module's own, to be broken and mended."""
    with Installation() as installation:
        yield deploy(installation, postfix, dns_server, receiver, name="fragile")


def submit(deployment: Deployment, sink: SmtpSink) -> tuple[bytes, bytes]:
    """Submit a newsletter; return it as it was sent and as it arrived."""
    raw = messages.newsletter()
    sent = send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    assert sent.accepted, sent.text
    return raw, delivered(sink, raw)


class TestMilter:
    """Mail first."""

    def test_kill_9_between_messages_leaves_mail_flowing(
        self, fragile: Deployment, sink: SmtpSink
    ) -> None:
        """Without the milter mail goes out as it came; once it is back, mail is tracked again."""
        _, before = submit(fragile, sink)
        assert fragile.installation.milter is not None

        fragile.installation.milter.kill9()
        raw, meanwhile = submit(fragile, sink)
        fragile.installation.start_milter()
        _, after = submit(fragile, sink)

        assert 7 == len(tracking_links(before))
        assert raw == as_submitted(meanwhile)
        assert 7 == len(tracking_links(after))

    def test_missing_key_lets_mail_pass_untouched(
        self, fragile: Deployment, sink: SmtpSink
    ) -> None:
        """The milter starts without a key, says so, and tracks as soon as there is one."""
        key = fragile.installation.state / "keys" / "000.v1.key"
        aside = key.with_suffix(".aside")
        _stop_milter(fragile)

        key.rename(aside)
        fragile.installation.start_milter()
        raw, without = submit(fragile, sink)
        aside.rename(key)
        _, with_key = _submit_until_tracked(fragile, sink)

        assert raw == as_submitted(without)
        assert "holds no key" in fragile.milter_log()
        assert 7 == len(tracking_links(with_key))

    def test_domains_that_cannot_be_read_let_mail_pass_untouched(
        self, fragile: Deployment, sink: SmtpSink
    ) -> None:
        """With openclick.db away the milter runs, logs the reason per mail, and recovers."""
        database = fragile.installation.state / "openclick.db"
        aside = database.with_suffix(".aside")
        _stop_milter(fragile)

        database.rename(aside)
        fragile.installation.start_milter()
        raw, without = submit(fragile, sink)
        aside.rename(database)
        _, with_store = submit(fragile, sink)

        assert raw == as_submitted(without)
        assert re.search(
            r"error \w+: untouched reason=.store: .*no such file", fragile.milter_log()
        )
        assert 7 == len(tracking_links(with_store))

    def test_row_that_cannot_be_written_leaves_the_mail_untouched(
        self, fragile: Deployment, sink: SmtpSink
    ) -> None:
        """No row, no tracking: a messages.db that cannot be opened keeps the mail as it came."""
        database = fragile.installation.state / "messages.db"
        _stop_milter(fragile)

        good = _take_away(database)
        database.mkdir()
        fragile.installation.start_milter()
        raw, untouched = submit(fragile, sink)
        database.rmdir()
        _put_back(database, good)
        _, tracked = submit(fragile, sink)

        assert raw == as_submitted(untouched)
        assert "messages.db: unable to open database file" in fragile.milter_log()
        assert 7 == len(tracking_links(tracked))

    def test_corrupt_messages_are_set_aside(self, fragile: Deployment, sink: SmtpSink) -> None:
        """A messages.db that is no database is renamed, and mail is tracked again at once."""
        database = fragile.installation.state / "messages.db"
        _stop_milter(fragile)

        good = _take_away(database)
        database.write_bytes(b"rubbish" * 1000)
        database.chmod(0o660)
        fragile.installation.start_milter()
        _, tracked = submit(fragile, sink)
        [aside] = database.parent.glob("messages.db.corrupt-*Z")
        kept = aside.read_bytes()
        aside.unlink()
        _put_back(database, good)

        assert 7 == len(tracking_links(tracked))
        assert b"rubbish" * 1000 == kept
        assert "corrupt file set aside" in fragile.milter_log()


class TestSlowStore:
    """`milter.deadline_seconds`, with a messages.db that somebody else holds."""

    def test_mail_goes_out_untouched_and_its_late_row_says_so(
        self,
        postfix: PrivatePostfix,
        dns_server: DnsServer,
        receiver: WebhookReceiver,
        sink: SmtpSink,
    ) -> None:
        """The mail does not wait for the lock; the row that is committed after it is corrected."""
        milter = {"deadline_seconds": 0.5}
        with Installation() as installation:
            late = deploy(installation, postfix, dns_server, receiver, "late", milter=milter)
            path = installation.state / "messages.db"
            with closing(sqlite3.connect(path, timeout=30)) as other:
                other.execute("BEGIN EXCLUSIVE")
                raw, arrived = submit(late, sink)
                other.rollback()
            row = wait_until(lambda: _untouched_row(late, raw), 10.0, "a corrected row")
            _, tracked = submit(late, sink)

        assert raw == as_submitted(arrived)
        assert ("store too slow", ()) == (row.reason, row.links)
        assert 7 == len(tracking_links(tracked))


class TestSidecar:
    """Links outlive everything."""

    def test_links_are_answered_without_a_store(self, fragile: Deployment, sink: SmtpSink) -> None:
        """With neither hits.db nor journal, both are answered, and the loss is counted and said."""
        _, mail = submit(fragile, sink)
        database = fragile.installation.state / "hits.db"
        journal = fragile.installation.state / "journal"
        _stop_sidecar(fragile)

        good = _take_away(database)
        database.mkdir()
        journal.rmdir()
        journal.write_text("in the way")
        fragile.installation.start_sidecar()
        link = fetch(tracking_links(mail)[0], fragile.peer, {"User-Agent": BROWSER})
        image = fetch(open_images(mail)[0], fragile.peer, {"User-Agent": BROWSER})
        database.rmdir()
        journal.unlink()
        _put_back(database, good)
        again = fetch(tracking_links(mail)[1], fragile.peer, {"User-Agent": BROWSER})

        assert (302, messages.TRACKED_LINKS[0]) == (link.status, link.header("location"))
        assert 200 == image.status
        assert "answered but not recorded hits=1" in fragile.sidecar_log()
        assert 302 == again.status

    def test_links_are_answered_when_the_domain_is_gone(
        self, fragile: Deployment, sink: SmtpSink
    ) -> None:
        """A sent link needs nothing but its key: not openclick.db, not messages.db."""
        _, mail = submit(fragile, sink)
        names = ("openclick.db", "messages.db")
        paths = [fragile.installation.state / name for name in names]
        _stop_milter(fragile)
        _stop_sidecar(fragile)

        for path in paths:
            path.rename(path.with_suffix(".aside"))
        fragile.installation.start_sidecar()
        link = fetch(tracking_links(mail)[0], fragile.peer, {"User-Agent": BROWSER})
        _stop_sidecar(fragile)
        for path in paths:
            path.with_suffix(".aside").rename(path)
        fragile.installation.start_sidecar()
        fragile.installation.start_milter()

        assert (302, messages.TRACKED_LINKS[0]) == (link.status, link.header("location"))


class TestStart:
    """What cannot start says why in one line, and leaves nothing half-started."""

    @pytest.mark.parametrize("program", ["milter", "sidecar", "openclick"])
    def test_faulty_configuration_ends_with_78(self, tmp_path: Path, program: str) -> None:
        """File, line, option, value and expectation stand in one line; exit status 78."""
        path = tmp_path / "openclick.toml"
        path.write_text('[log]\nlevel = "info"\n\n[milter]\ndeadline_seconds = "many"\n')
        with Installation() as installation:
            argv = [*getattr(installation.programs, program), "--config", str(path)]
            argv += ["config", "check"] if program == "openclick" else []

            done = subprocess.run(
                argv,
                env=dict(installation.programs.env),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )

        assert EX_CONFIG == done.returncode
        assert (
            f'{path}:5: milter.deadline_seconds = "many": need seconds, a number from 0.1 to 60'
            in done.stderr
        )
        assert "Traceback" not in done.stderr
        assert "" == done.stdout

    def test_taken_port_is_named(self, fragile: Deployment) -> None:
        """A second sidecar on the same port ends with 69 and one line that names it."""
        port = fragile.installation.hit_port

        with pytest.raises(DaemonError) as failure:
            _start_twin(fragile, "sidecar")

        assert f"ended ({EX_UNAVAILABLE})" in str(failure.value)
        assert f"127.0.0.1:{port}: cannot listen: Address already in use" in str(failure.value)
        assert port_listens(port)

    def test_socket_that_cannot_be_made_is_named(self, fragile: Deployment) -> None:
        """A milter whose socket's directory does not exist ends with 69 and names the path."""
        with Installation() as installation:
            installation.configure("unix:/nonexistent/milter.sock", 53)

            with pytest.raises(DaemonError) as failure:
                installation.start_milter()

        assert f"ended ({EX_UNAVAILABLE})" in str(failure.value)
        assert "unix:/nonexistent/milter.sock: cannot listen" in str(failure.value)

    def test_socket_in_whose_place_a_directory_stands_is_named(self) -> None:
        """Likewise where the path names the directory itself; no socket is left beside it."""
        with Installation() as installation:
            spool = installation.directory / "spool"
            (spool / "openclick").mkdir(parents=True)
            os.chown(spool, installation.milter_uid, installation.gid)
            installation.configure(f"unix:{spool}/openclick", 53)

            with pytest.raises(DaemonError) as failure:
                installation.start_milter()

            left = list(spool.iterdir())
        assert f"ended ({EX_UNAVAILABLE})" in str(failure.value)
        assert f"{spool}/openclick: cannot be put there: Is a directory" in str(failure.value)
        assert [spool / "openclick"] == left


def _untouched_row(deployment: Deployment, raw: bytes) -> Message | None:
    """Return the row of a mail once it says "untouched"."""
    with closing(deployment.installation.store.message_reader()) as reader:
        rows = reader.many_by_message_id(message_id_of(raw).decode("ascii"))
    return next((row for row in rows if row.outcome is Outcome.UNTOUCHED), None)


def _start_twin(deployment: Deployment, name: str) -> None:
    with Installation() as twin:
        twin.config_path = deployment.installation.config_path
        getattr(twin, f"start_{name}")()


def _submit_until_tracked(deployment: Deployment, sink: SmtpSink) -> tuple[bytes, bytes]:
    """Submit until the milter has looked for keys again, which it does once a second."""
    for _ in range(50):
        raw, arrived = submit(deployment, sink)
        if tracking_links(arrived):
            break
    return raw, arrived


def _stop_milter(deployment: Deployment) -> None:
    assert deployment.installation.milter is not None
    assert 0 == deployment.installation.milter.terminate(timeout=15)


def _stop_sidecar(deployment: Deployment) -> None:
    assert deployment.installation.sidecar is not None
    assert 0 == deployment.installation.sidecar.terminate(timeout=15)


def _take_away(database: Path) -> dict[Path, bytes]:
    """Delete a database; return what was there, side files too."""
    good = {path: path.read_bytes() for path in database.parent.glob(f"{database.name}*")}
    for path in good:
        path.unlink()
    return good


def _put_back(database: Path, good: dict[Path, bytes]) -> None:
    """Put files back beside what stands there, and then each in its place in one step."""
    for path, content in good.items():
        aside = path.with_name(f"{path.name}.back")
        aside.write_bytes(content)
        aside.chmod(0o660)
        os.chown(aside, -1, database.parent.stat().st_gid)
        aside.rename(path)
