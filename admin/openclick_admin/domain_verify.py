"""Checks a domain now, or again and again until it is verified.

Called by `openclick domain verify` and `domain add --wait`.  It checks in this process, as the
sidecar does on its schedule, and writes down what it finds.  The sidecar must be running: it is
what the challenge must reach; where it is not, that is said, with the command that starts it.

Promises: standard output stays for the result; what is looked at stands on standard error, as one
moving line on a terminal and as lines elsewhere, and so does why a check failed, each reason once.
What no waiting can mend is not waited for.
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
from openclick_admin.sidecar_presence import why_absent
from openclick_sidecar.checks import DomainChecks

_PAUSE_SECONDS = 5.0
_WANTS_THE_ADMIN = frozenset({"public_hostname_missing", "subdomain_missing"})

Say = Callable[[str], None]


class Teller:
    """Says what is done: `step` on a moving line, `note` to stay; each text once."""

    def __init__(self, step: Say, write: Say) -> None:
        self.step = step
        self._write = write
        self._noted: set[str] = set()

    def note(self, text: str) -> None:
        """Say what is to stay on the screen."""
        if text not in self._noted:
            self._noted.add(text)
            self._write(f"openclick: {text}")


def check(admin: Admin, domain: SendingDomain, wait_seconds: float) -> VerificationFailure | None:
    """Check `domain` until it is verified or `wait_seconds` are over, at least once.

    Returns why the last check failed, None where it did not.  Raises KeyFault, StoreFault.
    """
    config = admin.named_config
    checks = DomainChecks(
        config, lambda: load_keys(config.keys.directory), _SidecarsCertificates(admin)
    )
    with _progress() as teller:
        return wait_for(
            lambda: _check_once(admin, checks, domain, teller.step),
            wait_seconds,
            teller,
            lambda: why_absent(config.sidecar),
        )


def wait_for(
    check_once: Callable[[], VerificationFailure | None],
    wait_seconds: float,
    teller: Teller,
    why_no_sidecar: Callable[[], str],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> VerificationFailure | None:
    """Call `check_once` until it gives None or `wait_seconds` are over; return what it gave last.

    After a failure `why_no_sidecar` is asked for a sentence that says so, "" where it runs.
    """
    until = monotonic() + wait_seconds
    while True:
        failure = check_once()
        if failure is None:
            return None
        if absent := why_no_sidecar():
            teller.note(absent)
        left = until - monotonic()
        if left <= 0 or failure.code in _WANTS_THE_ADMIN:
            return failure
        teller.note(f"{failure.message} [{failure.code}]; trying again")
        teller.step("waiting; Ctrl-C ends this, and the sidecar goes on checking")
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
def _progress() -> Iterator[Teller]:
    """Yield what shows each step: a moving line on a terminal, nothing doubled elsewhere."""
    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        steps = Teller(lambda _text: None, _to_standard_error)
        yield Teller(steps.note, _to_standard_error)
        return
    columns = (
        SpinnerColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("checking", total=None)
        yield Teller(lambda text: progress.update(task, description=text), progress.console.print)


def _to_standard_error(text: str) -> None:
    click.echo(text, err=True)
