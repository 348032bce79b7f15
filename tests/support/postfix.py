"""A private Postfix instance in a directory of its own; never the system's.

Who calls: functional tests, `make demo`, `make bench`. Promises: works without /etc/postfix/main.cf
and without systemd; one instance a run, one smtpd port per variant, before or after start; content
goes to one SMTP sink or is discarded; `stop` is bounded, ends only processes of this instance and
removes the directory. Where it cannot run, PostfixUnavailable says why in one line.
Limits: needs root (master changes users); loopback and IPv4 only; sendmail(1) works for root only,
as the other users' postdrop refuses a configuration directory that the system's does not list.
"""

import atexit
import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from support.postfix_config import DefaultAction, Listener, listener_options, main_cf, master_cf
from support.postfix_machine import (
    ENVIRONMENT,
    MILTER_DIRECTORY,
    PostfixUnavailable,
    compiled_defaults,
    make_directory,
    pids_working_in,
    postfix_gid,
    program_path,
    run_on_terminal,
    unavailable_reason,
)
from support.processes import LOOPBACK, free_port, port_listens, wait_until
from support.sasl_server import SaslServer

__all__ = ["Listener", "PostfixUnavailable", "PrivatePostfix", "unavailable_reason"]

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_QUEUES = ("maildrop", "incoming", "active", "deferred", "hold")


class PrivatePostfix:
    """One instance: add listeners, `start` (or `with`), send, look, `stop`.

    `relay_port` is the sink's port; None discards all mail (for load). `main_cf` overrides or adds
    parameters. `sasl_users` are the accounts of listeners with `sasl=True`.
    """

    def __init__(
        self,
        relay_port: int | None = None,
        *,
        main_cf: Mapping[str, str] | None = None,
        non_smtpd_milters: str = "",
        sasl_users: Mapping[str, str] | None = None,
        hostname: str = "mail.openclick.example",
        parent: Path | None = None,
    ) -> None:
        reason = unavailable_reason()
        if reason is not None:
            raise PostfixUnavailable(reason)
        self.listeners: dict[str, Listener] = {}
        self.sasl_users = dict(sasl_users or {"app": "secret"})
        self._defaults = compiled_defaults()
        self._overrides = {"myhostname": hostname, "non_smtpd_milters": non_smtpd_milters}
        self._overrides |= _outgoing(relay_port) | dict(main_cf or {})
        self._services: list[str] = []
        self._sasl: SaslServer | None = None
        self._started = False
        self._last_log = ""
        self.directory = make_directory(parent)
        self.config_dir = self.directory / "etc"
        self.queue_dir = self.directory / "queue"
        atexit.register(self.stop)
        self._lay_out()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_raised: object) -> None:
        self.stop()

    @property
    def version(self) -> str:
        """What mail_version says, such as 3.7.11."""
        return self._defaults["mail_version"]

    @property
    def master_pid(self) -> int:
        """The pid of this instance's master."""
        return int((self.queue_dir / "pid" / "master.pid").read_text("ascii"))

    # Configuration

    def add_listener(
        self,
        name: str,
        milters: str | None = None,
        default_action: DefaultAction = "tempfail",
        *,
        options: Mapping[str, str] | None = None,
        sasl: bool = False,
        xclient: bool = False,
        chroot: bool = False,
    ) -> Listener:
        """Add an smtpd on a port of its own; a running instance listens there on return.

        `milters` as in smtpd_milters (a path relative to the queue serves chrooted and other
        listeners alike); `options` are further `-o` options and win; `xclient` lets tests play
        strangers, whose mail is then accepted for any recipient.
        """
        if name in self.listeners:
            raise ValueError(f"listener {name!r} is there already")
        if sasl and self._sasl is None:
            self._start_sasl()
        own = listener_options(milters, default_action, "sasl/auth" if sasl else None, xclient)
        listener = Listener(name, free_port(), chroot=chroot, options=own | dict(options or {}))
        self.listeners[name] = listener
        self._apply()
        return listener

    def add_service(self, entry: str) -> None:
        """Add a master.cf entry as it stands: a transport, a cleanup of its own."""
        self._services.append(entry)
        self._apply()

    def configure(self, **parameters: str) -> None:
        """Change main.cf; on return no process with the old settings is left.

        Fails when an SMTP session or a delivery stays open for more than 10 s.
        """
        self._overrides |= parameters
        before = self.processes()
        self._apply()
        old = before - {self.master_pid} if self._started else set()
        wait_until(lambda: not old & self.processes(), 10.0, "the end of Postfix's old processes")

    def milter_socket_dir(
        self, uid: int, group: int | None = None, name: str = MILTER_DIRECTORY
    ) -> Path:
        """Make a directory in the queue for a milter's socket: owner `uid`, group postfix, 2750."""
        path = self.queue_dir / name
        path.mkdir(exist_ok=True)
        os.chown(path, uid, postfix_gid() if group is None else group)
        path.chmod(0o2750)
        return path

    # Life

    def start(self) -> None:
        """Start the instance; on return every listener listens."""
        self._write_configuration()
        self._started = True
        self._postfix("start", _START_SECONDS)
        self._wait_listening()

    def stop(self) -> None:
        """Stop this instance and remove its directory. Bounded and idempotent."""
        if self._started:
            with contextlib.suppress(subprocess.SubprocessError):
                self._postfix("stop", _STOP_SECONDS, check=False)
            self._end_leftovers()
            self._started = False
        if self._sasl is not None:
            self._sasl.close()
            self._sasl = None
        if self.directory.exists():
            self._last_log = self.queue_log()
            shutil.rmtree(self.directory)
        atexit.unregister(self.stop)

    def processes(self) -> set[int]:
        """Return the pids of this instance: Postfix's programs work inside its queue directory."""
        return set(pids_working_in(self.queue_dir))

    # Mail

    def sendmail(
        self, argv: Sequence[str], message: bytes, timeout: float = 30.0
    ) -> subprocess.CompletedProcess[bytes]:
        """Submit by sendmail(1): `argv` are its arguments after `-C`."""
        return subprocess.run(
            [program_path("sendmail"), "-C", str(self.config_dir), *argv],
            input=message,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=timeout,
            check=False,
        )

    def flush(self) -> None:
        """Try all deferred mail now."""
        self._postfix("flush", _STOP_SECONDS)

    def queued_files(self) -> list[Path]:
        """Return the queue files that wait for something."""
        return [path for queue in _QUEUES for path in _files_below(self.queue_dir / queue)]

    def corrupt_files(self) -> list[Path]:
        """Return the queue files that Postfix set aside as corrupt."""
        return _files_below(self.queue_dir / "corrupt")

    def wait_for_empty_queue(self, timeout: float = 30.0) -> None:
        """Wait until nothing is left to deliver."""
        wait_until(lambda: not self.queued_files(), timeout, "an empty queue", 0.02)

    # Log

    def queue_log(self) -> str:
        """Return the text of the maillog; after `stop`, as it was then."""
        path = self.directory / "log" / "maillog"
        return path.read_text("utf-8", "replace") if path.exists() else self._last_log

    def wait_for_log(self, pattern: str, timeout: float = 10.0, start: int = 0) -> re.Match[str]:
        """Wait for a log line; `start` is a former len(queue_log()), to see only what is new."""
        wanted = re.compile(pattern, re.MULTILINE)
        try:
            return wait_until(
                lambda: wanted.search(self.queue_log(), start), timeout, f"log line {pattern!r}"
            )
        except TimeoutError as error:
            ending = "\n".join(self.queue_log()[start:].splitlines()[-20:])
            raise type(error)(f"{error}; the log ends:\n{ending}") from error

    def queue_ids(self, message_id: str) -> list[str]:
        """Return the queue ids under which this Message-ID (with brackets) was logged, in order."""
        line = re.compile(
            rf"cleanup\[\d+\]: (\w+): message-id={re.escape(message_id)}$", re.MULTILINE
        )
        return list(dict.fromkeys(line.findall(self.queue_log())))

    def _lay_out(self) -> None:
        for name in ("etc", "queue", "data", "log"):
            (self.directory / name).mkdir(mode=0o755)
            (self.directory / name).chmod(0o755)
        os.chown(self.directory / "data", pwd.getpwnam("postfix").pw_uid, postfix_gid())
        (self.directory / "data").chmod(0o700)

    def _apply(self) -> None:
        if self._started:
            start = len(self.queue_log())
            self._write_configuration()
            # `postfix reload` sends the same signal, after checks that take a second or two.
            os.kill(self.master_pid, signal.SIGHUP)
            self.wait_for_log(r"master\[\d+\]: reload -- version", start=start)
            self._wait_listening()

    def _write_configuration(self) -> None:
        own = {
            "config_directory": str(self.config_dir),
            "queue_directory": str(self.queue_dir),
            "data_directory": str(self.directory / "data"),
            "command_directory": self._defaults["command_directory"],
            "daemon_directory": self._defaults["daemon_directory"],
            "maillog_file": str(self.directory / "log" / "maillog"),
            "maillog_file_prefixes": str(self.directory),
        }
        _write_settled(self.config_dir / "main.cf", main_cf(own, self._overrides))
        text = master_cf(self.listeners.values(), self._services)
        _write_settled(self.config_dir / "master.cf", text)

    def _wait_listening(self) -> None:
        ports = {listener.port for listener in self.listeners.values()}
        wait_until(lambda: all(map(port_listens, ports)), 10.0, f"Postfix listening on {ports}")

    def _start_sasl(self) -> None:
        directory = self.queue_dir / "sasl"
        directory.mkdir()
        self._sasl = SaslServer(directory / "auth", self.sasl_users)
        for path, mode in ((directory / "auth", 0o660), (directory, 0o750)):
            os.chown(path, 0, postfix_gid())
            path.chmod(mode)

    def _postfix(self, command: str, timeout: float, check: bool = True) -> None:
        argv = [program_path("postfix"), "-c", str(self.config_dir), command]
        code, said = run_on_terminal(argv, timeout)
        if check and code != 0:
            taken = sorted(at.port for at in self.listeners.values() if port_listens(at.port))
            raise RuntimeError(
                f"postfix {command} ended with {code}; listener ports in use: {taken}; it said:\n"
                f"{said}{self.queue_log()[-2000:]}"
            )

    def _end_leftovers(self) -> None:
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.processes(), 5.0, "the end of Postfix")
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.processes(), 5.0, "the end of Postfix after SIGKILL")


def _outgoing(relay_port: int | None) -> dict[str, str]:
    if relay_port is None:
        return {"relayhost": "", "default_transport": "discard:", "relay_transport": "discard:"}
    return {"relayhost": f"[{LOOPBACK}]:{relay_port}"}


def _write_settled(path: Path, text: str) -> None:
    # Postfix reads a file again and again, 0.3 s apart, until its change is over a second old.
    # So the file is whole before it appears, and looks a minute old.
    draft = path.with_suffix(".new")
    draft.write_text(text, "utf-8")
    minute_ago = time.time() - 60
    os.utime(draft, (minute_ago, minute_ago))
    draft.rename(path)


def _files_below(directory: Path) -> list[Path]:
    found = []
    for folder, _, names in os.walk(directory):
        found += [Path(folder) / name for name in names]
    return found
