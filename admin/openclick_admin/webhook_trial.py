"""Posts a test delivery from the command: a reactor for the length of one POST.

Called by `openclick webhook test`.  Limits: once a process, since a reactor runs once, and Ctrl-C
ends that process.
"""

from __future__ import annotations

import os
import signal
from typing import Any, NoReturn

import click

from openclick.instants import now
from openclick.settings import Config
from openclick.webhooks import Webhook
from openclick_admin.domain import EX_INTERRUPTED
from openclick_sidecar.posting import Posting
from openclick_sidecar.trial import TrialResult, post_trial
from openclick_sidecar.trust import own_authorities


def run_trial(config: Config, webhook: Webhook) -> TrialResult:
    """Post one webhook.test event, by the rules that the sidecar posts by.  Raises ConfigError."""
    import twisted.internet.reactor  # noqa: PLC0415
    from twisted.internet.defer import Deferred  # noqa: PLC0415

    reactor: Any = twisted.internet.reactor
    posting = Posting(config, reactor, own_authorities(config))
    results: list[TrialResult] = []

    async def post() -> None:
        posting.start()
        try:
            results.append(await post_trial(posting.poster, webhook, now, os.urandom))
        finally:
            await posting.stop()

    failures: list[Any] = []
    reactor.callWhenRunning(
        lambda: (
            Deferred.fromCoroutine(post())
            .addErrback(failures.append)
            .addBoth(lambda _: reactor.stop())
        )
    )
    # Twisted leaves a handler alone that is there already.
    signal.signal(signal.SIGINT, _interrupted)
    reactor.run()
    if failures:
        failures[0].raiseException()
    return results[0]


def _interrupted(_number: int, _frame: object) -> NoReturn:
    """End the process at once: the interpreter's end would wait for a thread that asks for names.

    Twisted would make a stop of Ctrl-C, and what was under way would tell of a lost connection.
    """
    click.echo("openclick: ended before there was an answer", err=True)
    os._exit(EX_INTERRUPTED)
