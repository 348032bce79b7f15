"""The servers that the hit path is compared with: each answers a hit, none does what ours does.

    site     twisted.web's Site with one leaf resource, as it comes; records nothing
    nginx    empty_gif, with an access log that nobody syncs
    usual    Flask on gunicorn, one worker of four threads, SQLite, one commit a hit

Who calls: `hits`.  Promises: a server listens on loopback when its block begins, is pinned to its
processor with all its children, writes below the directory that it is given, and is gone when the
block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import floor, procfs
from bench.experiment import BenchFault
from bench.processors import pinned_to, processors
from support.processes import (
    LOOPBACK,
    Daemon,
    free_port,
    port_listens,
    session_members,
)

_PATH = ("/usr/sbin", "/usr/bin", "/bin")
_NGINX = """\
daemon off;
worker_processes 1;
user www-data;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log {directory}/nginx-access.log;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    server {{
        listen {host}:{port}{tls};
        location / {{ empty_gif; }}
    }}
}}
"""


@dataclass
class Server:
    """A server that runs.

    `rows` counts the hits that it has on disk, where it promises that.
    """

    port: int
    session: int
    rows: Callable[[], int] | None = None

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have used so far."""
        return sum(procfs.cpu_seconds(pid) for pid in session_members(self.session))


Start = Callable[[], AbstractContextManager[Server]]


class Account:
    """Holds what a server has on disk against what it has answered since its store was empty."""

    def __init__(self) -> None:
        self._answered = 0
        self._unread = 0

    def add(self, answered: int, connections: int) -> None:
        """Take note of a load: at its end each connection may leave one answer unread."""
        self._answered += answered
        self._unread += connections

    def check(self, rows: int) -> None:
        """Raise BenchFault where an answered hit is missing, or where one stands twice."""
        if not self._answered <= rows <= self._answered + self._unread:
            raise BenchFault(
                f"{rows} hits are stored, {self._answered} were answered and read, "
                f"at most {self._unread} more were asked for"
            )


def missing_reason(programs: Mapping[str, str]) -> str:
    """Say which Debian package is missing for these programs; empty where nothing is."""
    return floor.program_missing(programs, _PATH)


@contextmanager
def site(python: str, directory: Path) -> Iterator[Server]:
    """Run the bare Site on an interpreter."""
    port = free_port()
    argv = [python, "-P", "-m", "bench.workers.bare_site", str(port)]
    with _serving("site", argv, floor.environment(), directory, port) as server:
        yield server


@contextmanager
def nginx(directory: Path, tls: str = "") -> Iterator[Server]:
    """Run nginx with a configuration of its own; `tls` is what makes its listener one for https."""
    port = free_port()
    settings = directory / "nginx.conf"
    text = _NGINX.format(directory=directory, host=LOOPBACK, port=port, tls=tls)
    settings.write_text(text, "utf-8")
    errors = directory / "nginx-error.log"  # not in the file: it would be opened too late
    argv = ["nginx", "-p", str(directory), "-e", str(errors), "-c", str(settings)]
    with _serving("nginx", argv, {"PATH": ":".join(_PATH)}, directory, port) as server:
        yield server


def nginx_tls(directory: Path) -> AbstractContextManager[Server]:
    """Run it with the certificate chain.pem and key.pem of the directory, sessions shared."""
    return nginx(
        directory,
        f""" ssl;
        ssl_certificate {directory}/chain.pem;
        ssl_certificate_key {directory}/key.pem;
        ssl_session_cache shared:bench:10m;
        ssl_protocols TLSv1.2 TLSv1.3""",
    )


@contextmanager
def usual_tracker(directory: Path) -> Iterator[Server]:
    """Run the usual tracker on an empty file."""
    port = free_port()
    hits = directory / "usual.db"
    hits.unlink(missing_ok=True)
    argv = [
        *("gunicorn", "--workers", "1", "--threads", "4", "--bind", f"{LOOPBACK}:{port}"),
        *("--worker-tmp-dir", str(directory), "--graceful-timeout", "1"),
        "bench.workers.usual_tracker:app",
    ]
    env = floor.environment() | {"HITS_FILE": str(hits)}
    with _serving("usual", argv, env, directory, port) as server:
        yield server


@contextmanager
def _serving(
    name: str, argv: Sequence[str], env: Mapping[str, str], directory: Path, port: int
) -> Iterator[Server]:
    daemon = Daemon(
        [*pinned_to(processors().server), *argv],
        log_path=directory / f"{name}.log",
        name=name,
        env=env,
        cwd=directory,
    )
    try:
        daemon.wait_ready(lambda: port_listens(port))
        yield Server(port, daemon.pid)
    finally:
        daemon.close()
