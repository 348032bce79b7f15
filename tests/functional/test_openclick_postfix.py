"""`openclick postfix --apply` on a real Postfix: what it writes works, and undo leaves no trace.

The private Postfix is set up without a word of OpenClick; everything that tracks is the command's
doing.  Runs on Postfix 3.7 (Debian 12) and 3.10 (Debian 13) alike.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import messages
from support.deployment import DOMAIN, add_domain, as_submitted, delivered
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.passage import SENDER, arrivals, message_id_of
from support.postfix import Listener, PrivatePostfix
from support.processes import wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix

LOGIN = ("app", "secret")
LIMIT = 300_000
OTHER_DOMAIN = "leise.example"
Files = dict[str, tuple[bytes, int, int, int, int]]


@dataclass
class World:
    """A Postfix without OpenClick, and an installation beside it.

    `submission` demands a login and runs chrooted; `mx` takes mail as from the internet.
    """

    postfix: PrivatePostfix
    installation: Installation
    submission: Listener
    mx: Listener

    def command(self, *options: str, status: int = 0) -> str:
        """Run `openclick postfix` on this Postfix and return what it says."""
        where = ("--postfix-config", str(self.postfix.config_dir))
        done = self.installation.openclick("postfix", *where, *options, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def files(self) -> Files:
        """Return everything in Postfix's configuration directory: bytes, owner, rights, time."""
        found = sorted(path for path in self.postfix.config_dir.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.postfix.config_dir)): (path.read_bytes(), *_facts(path))
            for path in found
        }


def _facts(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, status.st_mode, status.st_mtime_ns


@pytest.fixture(scope="module")
def world(sink: SmtpSink, dns_server: DnsServer) -> Iterator[World]:
    """Give both, running, with one domain tracked."""
    limits = {"message_size_limit": str(LIMIT)}
    with PrivatePostfix(sink.port, main_cf=limits) as postfix, Installation() as installation:
        socket = postfix.milter_socket_dir(installation.milter_uid) / "milter.sock"
        installation.configure(f"unix:{socket}", dns_server.port)
        installation.init()
        installation.start_sidecar()
        for name in (DOMAIN, OTHER_DOMAIN):
            add_domain(installation, dns_server, name, "--opens", "--clicks")
        installation.start_milter()
        submission = postfix.add_listener("apps", sasl=True, chroot=True)
        mx = postfix.add_listener("mx")
        yield World(postfix, installation, submission, mx)


@pytest.fixture
def untouched(world: World) -> Iterator[Files]:
    """Give the files as they are without OpenClick; take back whatever the test applied."""
    files = world.files()
    yield files
    if world.files() != files:
        world.command("--undo", "--force")
    assert world.files() == files


def submitted(world: World, sink: SmtpSink, raw: bytes, sender: str = SENDER) -> bytes:
    """Submit as an app that logs in; return the mail as it arrived."""
    sent = send(world.submission, sender, messages.RECIPIENTS, raw, login=LOGIN)
    assert sent.accepted, sent.text
    return as_submitted(delivered(sink, raw))


def large_mail(size: int) -> bytes:
    """Return an HTML mail of about this size with so many links that it grows by a tenth."""
    links = b"".join(b'<a href="https://shop.kontor.example/%d">x</a>\r\n' % n for n in range(400))
    filler = b"<p>" + b"word " * 14 + b"</p>\r\n"
    html = b"<html><body>" + links + filler * ((size - len(links)) // len(filler))
    raw = messages.html_only(html=(html + b"</body></html>").decode("ascii"))
    assert size * 0.9 < len(raw) < size * 1.1
    return raw


def test_before_the_apply_nothing_is_tracked(world: World, sink: SmtpSink) -> None:
    """The ground that the other tests stand on."""
    raw = messages.newsletter()

    arrived = submitted(world, sink, raw)

    assert tracking_links(arrived) == []


def test_the_apply_tracks_submissions_and_sendmail_and_nothing_else(
    world: World, sink: SmtpSink, untouched: Files
) -> None:
    """A chrooted submission service and sendmail(1) pass the milter; port 25 does not."""
    by_login, by_sendmail, by_mx = (messages.newsletter() for _ in range(3))

    said = world.command("--apply")
    tracked = submitted(world, sink, by_login)
    world.postfix.sendmail(["-f", SENDER, *messages.RECIPIENTS], by_sendmail)
    sent = send(world.mx, SENDER, messages.RECIPIENTS, by_mx)

    assert "Postfix has reloaded" in said
    assert sent.accepted
    assert open_images(tracked)
    assert open_images(delivered(sink, by_sendmail))
    assert as_submitted(delivered(sink, by_mx)) == by_mx


def test_the_diff_shows_what_then_stands_in_the_files(world: World, untouched: Files) -> None:
    """What --apply prints is what it does: every added line is in the file, none besides."""
    said = world.command("--apply")

    added = [line[1:] for line in said.splitlines() if line.startswith("+") and line[:3] != "+++"]
    now = world.files()
    written = (now["main.cf"][0] + now["master.cf"][0]).decode().splitlines()
    before = (untouched["main.cf"][0] + untouched["master.cf"][0]).decode().splitlines()
    assert sorted(set(written) - set(before)) == sorted(set(added))


def test_the_printed_commands_do_what_the_apply_does(world: World, untouched: Files) -> None:
    """Without --apply nothing changes; each printed command run by hand leads to the same files."""
    printed = json.loads(world.command("--json"))
    still = world.files()
    world.command("--apply")
    applied = {name: world.files()[name][0] for name in ("main.cf", "master.cf")}
    world.command("--undo")

    kept = {name: (world.postfix.config_dir / name).read_bytes() for name in applied}
    times = {name: (world.postfix.config_dir / name).stat() for name in applied}
    for words in printed["commands"]:
        assert os.spawnvp(os.P_WAIT, words[0], words) == 0
    by_hand = {name: (world.postfix.config_dir / name).read_bytes() for name in applied}
    for name, content in kept.items():
        (world.postfix.config_dir / name).write_bytes(content)
        os.utime(
            world.postfix.config_dir / name, ns=(times[name].st_atime_ns, times[name].st_mtime_ns)
        )
        os.chmod(world.postfix.config_dir / name, times[name].st_mode)

    assert still == untouched
    assert by_hand == applied


def test_undo_restores_every_byte_and_the_mail_goes_untouched(
    world: World, sink: SmtpSink, untouched: Files
) -> None:
    """Content, owner, rights and time of each file are as before, and no file is left over."""
    raw = messages.newsletter()
    world.command("--apply", "--strict")

    said = world.command("--undo")

    assert "Postfix has reloaded" in said
    assert world.files() == untouched
    assert submitted(world, sink, raw) == raw


def test_a_second_apply_changes_nothing(world: World, untouched: Files) -> None:
    """The command may be repeated, as by a configuration management."""
    world.command("--apply")
    once = world.files()

    said = world.command("--apply")

    assert "Nothing to change" in said
    assert world.files() == once


def test_one_undo_takes_back_two_applies(world: World, untouched: Files) -> None:
    """Another choice later keeps the copy of the files as they were without OpenClick."""
    world.command("--apply")
    world.command("--apply", "--strict")
    assert b"default_action=tempfail" in world.files()["master.cf"][0]

    world.command("--undo")

    assert world.files() == untouched


def test_undo_does_not_lose_what_was_changed_since(world: World, untouched: Files) -> None:
    """It names the file, shows the lines that would be lost, and touches nothing."""
    world.command("--apply")
    path = world.postfix.config_dir / "main.cf"
    path.write_text(path.read_text("utf-8") + "delay_warning_time = 4h\n", "utf-8")
    edited = world.files()

    said = world.command("--undo", status=69)

    assert "main.cf" in said
    assert "+delay_warning_time = 4h" in said
    assert world.files() == edited


def test_an_apply_after_an_edit_undoes_to_the_edit(world: World, untouched: Files) -> None:
    """Copies stand one on another: the first undo leads to the edited file, not past it."""
    world.command("--apply")
    path = world.postfix.config_dir / "main.cf"
    path.write_text(path.read_text("utf-8") + "delay_warning_time = 4h\n", "utf-8")
    edited = {name: facts for name, facts in world.files().items() if name.endswith(".cf")}
    world.command("--apply", "--strict")

    world.command("--undo")

    now = {name: facts for name, facts in world.files().items() if name.endswith(".cf")}
    assert {name: now[name] for name in edited} == edited


def test_a_message_may_grow_past_the_announced_limit(
    world: World, sink: SmtpSink, untouched: Files
) -> None:
    """Its cleanup has more room: 250, tracked and delivered, where stock cleanup says 552."""
    raw = large_mail(int(LIMIT * 0.95))
    world.command("--apply")

    arrived = submitted(world, sink, raw)

    assert len(arrived) > LIMIT
    assert len(tracking_links(arrived)) == 400


def test_the_split_gives_each_recipient_a_copy_of_its_own(
    world: World, sink: SmtpSink, untouched: Files
) -> None:
    """Mail of the named domain arrives once a recipient, each copy with tokens of its own."""
    raw = messages.newsletter()
    readers = [f"reader{number}@reader.example" for number in range(3)]
    world.command("--apply", "--per-recipient", DOMAIN)

    sent = send(world.submission, SENDER, readers, raw, login=LOGIN)
    wait_until(lambda: len(arrivals(sink, raw)) >= 3, 30.0, "three copies")
    world.postfix.wait_for_empty_queue()

    copies = arrivals(sink, raw)
    assert sent.accepted
    assert len(copies) == 3
    assert len({open_images(copy)[0] for copy in copies}) == 3


def test_mail_of_other_domains_is_tracked_but_not_split(
    world: World, sink: SmtpSink, untouched: Files
) -> None:
    """It passes the second listener whole: one message for all its recipients."""
    raw = messages.newsletter(sender=f"News <news@{OTHER_DOMAIN}>")
    readers = [f"reader{number}@reader.example" for number in range(3)]
    world.command("--apply", "--per-recipient", DOMAIN)

    sent = send(world.submission, f"news@{OTHER_DOMAIN}", readers, raw, login=LOGIN)
    delivered(sink, raw)
    world.postfix.wait_for_empty_queue()

    found = [m for m in sink.messages if message_id_of(raw) in m.headers_bytes]
    assert sent.accepted
    assert [len(message.recipients) for message in found] == [3]
    assert open_images(found[0].content)


def test_a_later_run_keeps_the_split(world: World, untouched: Files) -> None:
    """Another domain joins; running again without the option takes none out."""
    world.command("--apply", "--per-recipient", DOMAIN)
    world.command("--apply", "--per-recipient", OTHER_DOMAIN)
    both = world.files()

    said = world.command("--apply")

    table = both["openclick_split"][0].decode()
    assert DOMAIN in table
    assert OTHER_DOMAIN in table
    assert "Nothing to change" in said
    assert world.files() == both


def test_the_split_refuses_a_listener_without_login(world: World, untouched: Files) -> None:
    """Whatever the second listener gets is obeyed, so strangers must not feed it."""
    service = f"{world.mx.host}:{world.mx.port}/inet"

    said = world.command("--apply", "--per-recipient", DOMAIN, "--service", service, status=1)

    assert "takes mail from anybody" in said
    assert world.files() == untouched


def test_strict_lets_mail_wait_for_the_milter(world: World, untouched: Files) -> None:
    """With the milter away, --strict means a 4xx (at AUTH already) and accept means untracked."""
    milter = world.installation.milter
    assert milter is not None
    milter.close()
    raw, again = messages.newsletter(), messages.newsletter()

    world.command("--apply", "--strict")
    strict = send(world.submission, SENDER, messages.RECIPIENTS, raw, login=LOGIN)
    world.command("--apply")
    lax = send(world.submission, SENDER, messages.RECIPIENTS, again, login=LOGIN)
    world.installation.start_milter()

    assert strict.code in (451, 454)
    assert lax.accepted
