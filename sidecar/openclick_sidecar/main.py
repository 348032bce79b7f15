"""openclick-sidecar: reads its settings, opens its ports, runs until SIGTERM.

Called by systemd or by hand.  SIGHUP reads the settings again, see `reload`.  Exit status 78 for a
configuration at fault, 69 where a port cannot be opened, 0 after SIGTERM or SIGINT.  A store or key
that cannot be used is no reason to end: it is said, and links are answered as far as the keys
allow.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from typing import Any

from openclick.config import EX_CONFIG, ConfigError
from openclick.logs import line
from openclick.public_name import public_name
from openclick.settings import Config
from openclick.startup import EX_UNAVAILABLE, begin
from openclick.store import open_store
from openclick.systemd import inherited_sockets
from openclick_sidecar.judges import load_judge
from openclick_sidecar.reload import Reload
from openclick_sidecar.status.access import read_login
from openclick_sidecar.trust import own_authorities

PROGRAM = "openclick-sidecar"
PURPOSE = "Answers tracking links and posts events to webhooks."
_UMASK = 0o007
_ENDS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the sidecar; ends the process with its exit status."""
    config, path = begin(PROGRAM, PURPOSE, argv, also_check=check_files)
    status = run(config, path)
    logging.shutdown()
    # Not sys.exit: the interpreter's end would wait for a thread that a hanging disk holds.
    os._exit(status)


def check_files(config: Config) -> None:
    """Read the files that the settings name.  Raises ConfigError."""
    load_judge(config)
    own_authorities(config)
    read_login(config.sidecar.status_login_file)


def run(config: Config, path: str) -> int:
    """Serve until a signal asks for the end; return the exit status."""
    # Before Twisted, which takes the variables out of the environment when it is imported.
    inherited = inherited_sockets(os.environ, os.getpid())
    # Twisted is imported here, so that --help and a faulty configuration answer at once.
    import twisted.internet.reactor  # noqa: PLC0415
    from twisted.internet.defer import Deferred  # noqa: PLC0415
    from twisted.logger import STDLibLogObserver, globalLogBeginner  # noqa: PLC0415

    from openclick_sidecar.service import CannotListen, Sidecar  # noqa: PLC0415

    reactor: Any = twisted.internet.reactor
    # Twisted times its calls by the wall clock: set back by a day, it would stop them for a day.
    reactor.seconds = time.monotonic
    try:
        judge, authorities = load_judge(config), own_authorities(config)
        login = read_login(config.sidecar.status_login_file)
    except ConfigError as error:
        print(f"{error}\n{PROGRAM} not started", file=sys.stderr)
        return EX_CONFIG
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    observer: Any = STDLibLogObserver()
    os.umask(_UMASK)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    # What Twisted says of its factories and pools is its own business; warnings are ours.
    logging.getLogger("twisted").setLevel(logging.WARNING)
    named = _with_public_name(config)
    sidecar = Sidecar(named, open_store(config.store.url), judge, reactor, authorities, login)
    _spare_the_collector()
    # Whoever hears "ready" may ask for the end at once, which must wait until the reactor listens.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    reactor.callWhenRunning(signal.pthread_sigmask, signal.SIG_UNBLOCK, _ENDS)
    try:
        sidecar.start(inherited)
    except CannotListen as error:
        log.error(line("sidecar", f"{error}; not started"))
        return EX_UNAVAILABLE
    reload = Reload(config, path)
    signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(reload))
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(sidecar.stop())
    )
    reactor.run()
    return 0


def _with_public_name(config: Config) -> Config:
    """Return the settings with the name that tracking domains point to; say whose word it is."""
    found = public_name(config)
    if found.fault:
        log.warning(line("sidecar", f"{found.fault}; no tracking domain can be verified"))
    elif not config.sidecar.public_hostname:
        log.info(line("sidecar", "tracking domains point to", name=found.name, source=found.origin))
    return found.given_to(config)


def _spare_the_collector() -> None:
    """Keep Python's collector from looking at what stays, and from looking too often.

    A hit makes hundreds of objects and no cycle; with Python's own thresholds the collector runs
    some hundred times a second, and a full run over Twisted's modules is a pause for everybody.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
