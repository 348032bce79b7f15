"""The world that the figures are measured in: a private Postfix, a milter, OpenDKIM, trackers.

Who calls: run makes it, the experiments use it.  Everything is started when it is first asked for
and ended by `close`.  Promises: one Postfix instance, one smtpd port a variant, the same settings
else; all mail is discarded behind the queue; the milter runs on Debian's python3 and is set up as
an admin does it; before throughput is measured, one mail of each variant has been looked at.

    bare        no milter
    tracked     OpenClick, a sending domain with opens and clicks on
    off         OpenClick, an added sending domain whose tracking is off
    stranger    OpenClick, a sending domain that was never added
    opendkim    OpenDKIM signs
    idle        OpenDKIM has no key for the domain: a milter in C that does nothing
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import floor, mails, opendkim, tracker
from bench.experiment import BenchFault
from bench.tracker import Tracker
from support.deployment import DOMAIN, OFF_DOMAIN, TRACKING_DOMAIN, Deployment, deploy
from support.dns_server import DnsServer
from support.installation import Installation, InstallationError
from support.postfix import PostfixUnavailable, PrivatePostfix
from support.postfix_config import Listener
from support.processes import Daemon
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

MESSAGE_SIZE_LIMIT = 60_000_000
_NOBODYS_DOMAIN = "elsewhere.example"
_HOUR = "3600s"
_SENDERS = {
    "bare": DOMAIN,
    "tracked": DOMAIN,
    "off": OFF_DOMAIN,
    "stranger": "fremd.example",
    "opendkim": DOMAIN,
    "idle": DOMAIN,
}
_MARKS = {"tracked": f"http://{TRACKING_DOMAIN}".encode("ascii"), "opendkim": b"DKIM-Signature:"}
_SOFT_BREAK = b"=\r\n"


class World:
    """The running whole; `parent` is where queue, store and keys are put.

    `say` shows what is being started; the run sets it to its own.
    """

    def __init__(self, parent: Path | None, say: Callable[[str], None]) -> None:
        self._parent = parent
        self.say = say
        self._stack = contextlib.ExitStack()

    def close(self) -> None:
        """End what was started."""
        self._stack.close()

    @cached_property
    def directory(self) -> Path:
        """A directory for mails, keys and logs, reachable for every user."""
        path = Path(
            self._stack.enter_context(TemporaryDirectory(prefix="openclick-", dir=self._parent))
        )
        path.chmod(0o755)
        return path

    @cached_property
    def postfix(self) -> PrivatePostfix:
        """The private Postfix with the listener `bare`.  Raises BenchFault."""
        self.say("starting a private Postfix")
        settings = {
            "message_size_limit": str(MESSAGE_SIZE_LIMIT),
            "mailbox_size_limit": "0",
            # Processes of a variant stay while the others are measured.
            "max_idle": _HOUR,
        }
        try:
            instance = PrivatePostfix(main_cf=settings, parent=self._parent)
        except PostfixUnavailable as error:
            raise BenchFault(str(error)) from error
        instance.add_listener("bare")
        return self._stack.enter_context(instance)

    @cached_property
    def deployment(self) -> Deployment:
        """OpenClick beside it, both daemons on Debian's python3.  Raises BenchFault."""
        if floor.missing_reason():
            raise BenchFault(floor.missing_reason())
        postfix = self.postfix
        self.say("starting the milter")
        try:
            installation = self._stack.enter_context(Installation(parent=self._parent))
        except InstallationError as error:
            raise BenchFault(str(error)) from error
        installation.programs = floor.on_floor(installation.programs)
        with DnsServer() as dns, WebhookReceiver() as receiver:
            deployment = deploy(
                installation,
                postfix,
                dns,
                receiver,
                milter={"max_message_bytes": MESSAGE_SIZE_LIMIT // 2},
                log={"level": "info"},
            )
        if installation.sidecar is not None:  # domains are verified; it has nothing more to do
            installation.sidecar.close()
        return deployment

    @cached_property
    def tracker(self) -> Tracker:
        """The sidecar without a Postfix, on Debian's python3.  Raises BenchFault."""
        return self._stack.enter_context(contextlib.closing(tracker.on_floor(self._parent)))

    @cached_property
    def newest_tracker(self) -> Tracker:
        """The same on the interpreter that runs this.  Raises BenchFault."""
        newest = Tracker(sys.executable, self._parent)
        return self._stack.enter_context(contextlib.closing(newest))

    @cached_property
    def full_tracker(self) -> Tracker:
        """Another one on Debian's python3, for a store that is filled.  Raises BenchFault."""
        return self._stack.enter_context(contextlib.closing(tracker.on_floor(self._parent)))

    @cached_property
    def crowded_tracker(self) -> Tracker:
        """Another one on Debian's python3, for many certificates.  Raises BenchFault."""
        return self._stack.enter_context(contextlib.closing(tracker.on_floor(self._parent)))

    @property
    def milter(self) -> Daemon:
        """The milter's process, as it is now."""
        daemon = self.deployment.installation.milter
        assert daemon is not None
        return daemon

    def restart_milter(self) -> Daemon:
        """End the milter and start a new one."""
        self.milter.close()
        return self.deployment.installation.start_milter()

    @cached_property
    def opendkim(self) -> Daemon:
        """OpenDKIM, and the listener `opendkim`.  Raises BenchFault."""
        return self._start_opendkim("opendkim", DOMAIN)

    @cached_property
    def idle(self) -> Daemon:
        """OpenDKIM that signs none of these mails, and the listener `idle`.  Raises BenchFault."""
        return self._start_opendkim("idle", _NOBODYS_DOMAIN)

    def _start_opendkim(self, name: str, domain: str) -> Daemon:
        postfix = self.postfix
        self.say(f"starting OpenDKIM: {name}")
        directory = self.directory / name
        directory.mkdir(mode=0o755, exist_ok=True)
        daemon = opendkim.start_opendkim(postfix, directory, name, domain)
        self._stack.callback(daemon.close)
        postfix.add_listener(name, opendkim.milter(name))
        return daemon

    def listener(self, variant: str) -> Listener:
        """Return where mail of a variant is submitted; starts what it needs."""
        if variant in ("opendkim", "idle"):
            daemon = self.opendkim if variant == "opendkim" else self.idle
            assert daemon.running
        elif variant != "bare":
            return self.deployment.submission
        return self.postfix.listeners[variant]

    def sender(self, variant: str) -> str:
        """Return the envelope sender of a variant's mail."""
        return f"news@{_SENDERS[variant]}"

    def mail(self, variant: str) -> bytes:
        """Return a variant's mail of 50 KB."""
        return mails.newsletter(1, _SENDERS[variant])

    def mail_file(self, variant: str) -> Path:
        """Return a file with it, for smtp-source."""
        path = self.directory / f"{_SENDERS[variant]}.eml"
        if not path.exists():
            path.write_bytes(mails.with_bare_newlines(self.mail(variant)))
        return path

    def check(self, variant: str) -> None:
        """Look at one mail of a variant as it leaves Postfix.  Raises BenchFault."""
        like = self.listener(variant)
        with SmtpSink() as sink:
            probe = self.postfix.add_listener(
                f"probe-{variant}",
                like.options.get("smtpd_milters"),
                options={"content_filter": f"smtp:[127.0.0.1]:{sink.port}"},
            )
            sent = send(probe, self.sender(variant), [mails.RECIPIENT], self.mail(variant))
            if not sent.accepted:
                raise BenchFault(f"{variant}: Postfix refused the mail: {sent.code} {sent.text}")
            content = sink.wait_for(1)[0].content.replace(_SOFT_BREAK, b"")
        found = {name for name, mark in _MARKS.items() if mark in content}
        if found != {variant} & set(_MARKS):
            raise BenchFault(f"{variant}: the mail shows {sorted(found)}")
