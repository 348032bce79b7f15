"""openclick-milter: reads its settings, opens its socket, serves Postfix until it is told to end.

Called by systemd or by hand.  Exit status 78 for a configuration at fault, 69 where the socket
cannot be opened, 0 after SIGTERM or SIGINT or a hand-over.  A key or store that cannot be used is
no reason to end: mail passes untouched, the log says why, the next message tries again.

    SIGTERM, SIGINT   take no new session, let the open ones end (30 s at most), exit
    SIGHUP            read the settings again; a fault in them changes nothing
    SIGUSR2           hand over to a fresh process (`handover`), without a refusal

Mail's way:  callbacks -> submission -> policy, instrument -> recorder -> store
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from openclick import __version__
from openclick.logs import line
from openclick.settings import Config
from openclick.startup import EX_UNAVAILABLE, begin
from openclick.systemd import notify
from openclick_milter import callbacks
from openclick_milter.footprint import look_rarely, tune_malloc
from openclick_milter.gate import Gate
from openclick_milter.handover import (
    HandoverFailed,
    PublicSocket,
    is_served,
    own_path,
    publish,
    start_successor,
    tell_predecessor,
)
from openclick_milter.worlds import Worlds

PROGRAM = "openclick-milter"
PURPOSE = "Instruments outgoing mail with open and click tracking."
_STOP_SECONDS = 30.0
_HANDOVER_SECONDS = 3600.0
"""How long open sessions may go on: nobody waits for the old process of a hand-over to end."""
_FINAL_REPLY_SECONDS = 0.2
_QUIET_SECONDS = 0.3
_UMASK = 0o007  # socket and store belong to the user and the group, never to others
_ENDS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the milter; ends the process with its exit status."""
    config, path = begin(PROGRAM, PURPOSE, argv)
    status = run(config, path)
    logging.shutdown()
    # Not sys.exit: the interpreter's end would wait for libmilter's poll, five seconds long.
    os._exit(status)


def run(config: Config, config_path: str) -> int:
    """Serve until a signal asks for the end; return the exit status."""
    os.umask(_UMASK)
    tune_malloc()
    signals = _catch_signals()
    worlds = Worlds(config, config_path)
    gate = Gate()
    path = _unix_path(config.milter.socket)
    if path and is_served(path):
        log.error(line("milter", f"{path}: another milter answers there; not started"))
        return EX_UNAVAILABLE
    try:
        callbacks.open_socket(
            f"unix:{own_path(path)}" if path else config.milter.socket, worlds.current, gate
        )
    except callbacks.CannotListen as error:
        log.error(line("milter", f"{config.milter.socket}: {error}; not started"))
        return EX_UNAVAILABLE
    with _one_processor():
        worlds.start()
        look_rarely()
        threading.Thread(target=callbacks.serve, name="libmilter", daemon=True).start()
    try:
        public = publish(path) if path else None
    except OSError as error:
        log.error(line("milter", f"{path}: cannot be put there: {error.strerror}; not started"))
        return EX_UNAVAILABLE
    if public is None:
        log.warning(
            line(
                "milter",
                "a TCP socket costs 45 to 90 ms a message: use a Unix socket where you can",
                socket=config.milter.socket,
            )
        )
    notify(f"MAINPID={os.getpid()}", "READY=1")
    succeeded = tell_predecessor()
    log.info(
        line(
            "milter",
            "ready",
            socket=config.milter.socket,
            pid=os.getpid(),
            version=__version__,
            handover=succeeded or None,
        )
    )
    patience_seconds = _serve_signals(signals, worlds, public)
    _drain(signals, patience_seconds)
    if callbacks.open_sessions():
        _cut(gate, worlds.current().config.milter.deadline_seconds)
    worlds.stop()
    log.info(line("milter", "stopped", pid=os.getpid()))
    return 0


@contextlib.contextmanager
def _one_processor() -> Iterator[None]:
    """Have the threads that are started meanwhile, and theirs, share one processor.

    They take turns at the interpreter's lock anyway. On one processor a turn costs 12 us, across
    two 47 us: 292 against 384 messages a second with 20 sessions. The main thread, and with it a
    successor, may run anywhere as before. A hardened unit may forbid it, which costs speed alone.
    """
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)


def _catch_signals() -> int:
    """Return a descriptor to read signals from: one byte each, the signal's number.

    The byte is written where the kernel delivers the signal. A Python handler runs later, in the
    main thread, and is not run at all while that thread sleeps on a lock which it took a moment
    after delivery: 1 of 3,100 signals was lost so, with two other threads busy.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (*_ENDS, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, lambda _caught, _frame: None)
    return reading


def _unix_path(socket: str) -> Path | None:
    kind, _, path = socket.partition(":")
    return Path(path) if kind == "unix" else None


def _serve_signals(arrived: int, worlds: Worlds, public: PublicSocket | None) -> float:
    """Do what signals ask for, until one asks for the end; return how long sessions may go on."""
    while True:
        (number,) = os.read(arrived, 1)
        if number == signal.SIGHUP:
            worlds.reload()
        elif number in _ENDS:
            notify("STOPPING=1")
            if public:
                public.withdraw()
            return _STOP_SECONDS
        elif _hand_over(worlds, public):
            return _HANDOVER_SECONDS


def _hand_over(worlds: Worlds, public: PublicSocket | None) -> bool:
    """Start a successor; return whether it serves now, so that this process may end."""
    if public is None:
        log.error(line("milter", "no hand-over: it needs a Unix socket; nothing was changed"))
        return False
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    worlds.retire()
    try:
        successor = start_successor()
    except HandoverFailed as failure:
        worlds.stay()
        notify("READY=1")
        log.error(line("milter", f"no hand-over: {failure}; this process stays"))
        return False
    log.info(line("milter", "handed over", successor=successor))
    return True


def _drain(arrived: int, patience_seconds: float) -> None:
    """Wait until nobody has been connected for a moment, or has been for too long.

    libmilter's own stop would cut sessions between two events and poll for five seconds; so its
    loop is left running until the process ends with nobody in it.  A signal to end shortens what
    patience is left.
    """
    now = time.monotonic()
    deadline, quiet_since = now + patience_seconds, now
    while now < deadline and now - quiet_since < _QUIET_SECONDS:
        if callbacks.open_sessions() > 0:
            quiet_since = now
        readable, _, _ = select.select([arrived], [], [], 0.02)
        if readable and os.read(arrived, 1)[0] in _ENDS:
            deadline = min(deadline, now + _STOP_SECONDS)
        now = time.monotonic()


def _cut(gate: Gate, deadline_seconds: float) -> None:
    """End although sessions are open, but never while one is being sent its edits."""
    came_out = gate.close(deadline_seconds + 1.0)
    time.sleep(_FINAL_REPLY_SECONDS)
    log.warning(
        line("milter", "open sessions are cut", sessions=callbacks.open_sessions(), idle=came_out)
    )
