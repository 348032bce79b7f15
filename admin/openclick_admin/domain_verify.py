"""`openclick domain verify`: checks a domain now, or again and again until it is verified.

It checks in this process, as the sidecar does on its schedule, and writes down what it finds.  The
sidecar must be running: it is what the challenge must reach.

Promises: standard output stays for the result; what is looked at and how long --wait goes on stand
on standard error, as one moving line on a terminal and as lines elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from openclick.domain_checks import record_check
from openclick.domains import SendingDomain, VerificationFailure
from openclick.instants import now
from openclick.keys import load_keys
from openclick_admin.context import Admin
from openclick_sidecar.checks import DomainChecks

_PAUSE_SECONDS = 5.0

Say = Callable[[str], None]


def check(
    admin: Admin,
    domain: SendingDomain,
    wait_seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> VerificationFailure | None:
    """Check `domain` until it is verified or `wait_seconds` are over, at least once.

    Returns why the last check failed, None where it did not.  Raises KeyFault, StoreFault.
    """
    checks = DomainChecks(
        admin.config,
        lambda: load_keys(admin.config.keys.directory),
        _SidecarsCertificates(admin),
    )
    until = monotonic() + wait_seconds
    with _progress() as say:
        while True:
            failure = _check_once(admin, checks, domain, say)
            left = until - monotonic()
            if failure is None or left <= 0:
                return failure
            say(f"{failure.message} [{failure.code}]; trying again")
            sleep(min(_PAUSE_SECONDS, left))


class _SidecarsCertificates:
    """What the sidecar has written down of its certificates."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    @property
    def needs_certificate(self) -> bool:
        """Whether the sidecar obtains certificates by ACME, as the settings say."""
        return bool(self._admin.config.acme.directory_url)

    def serves(self, name: str) -> bool:
        """Tell whether the sidecar could serve https for `name` when it last looked."""
        return name in self._names()

    def _names(self) -> frozenset[str]:
        with self._admin.registry() as registry:
            return registry.certificates.https_names()


def _check_once(
    admin: Admin, checks: DomainChecks, domain: SendingDomain, say: Say
) -> VerificationFailure | None:
    result = checks.check(domain, say)
    with admin.registry() as registry:
        record_check(registry.domains, domain, result, now(), checks.patience)
    return result.failure


@contextmanager
def _progress() -> Iterator[Say]:
    """Yield what shows each step: a moving line on a terminal, nothing doubled elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _say_once()
        return
    columns = (
        SpinnerColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("checking", total=None)
        yield lambda text: progress.update(task, description=text)


def _say_once() -> Say:
    said: set[str] = set()

    def say(text: str) -> None:
        if text not in said:
            said.add(text)
            click.echo(f"openclick: {text}", err=True)

    return say
