"""`openclick domain add --wait` and `verify --wait`: for how long, what is said, how it ends."""

import json
from contextlib import closing

import pytest

from openclick.domains import VerificationFailure
from openclick_admin import domain_verify
from openclick_admin.domain_verify import Teller, wait_for
from support.clock import Clock
from unit.admin.command_line import NOBODY_IS_ASKED, CommandLine, call_this_machine
from unit.samples import DOMAIN, TRACKING_DOMAIN

MISSING = VerificationFailure("name_not_found", f"{TRACKING_DOMAIN} does not exist")
LATE = VerificationFailure("answer_late", "no answer in time")


class Watched:
    """A wait of which all is seen: the failures come one a check, the last for ever."""

    def __init__(self, *failures: VerificationFailure | None, absent: str = "") -> None:
        self.clock = Clock()
        self.failures = list(failures)
        self.notes: list[str] = []
        self.checks = 0
        self.absent = absent

    def wait(self, seconds: float) -> VerificationFailure | None:
        """Wait, and return what the command would be told."""
        teller = Teller(lambda _text: None, self.notes.append)
        return wait_for(
            self._check,
            seconds,
            teller,
            lambda: self.absent,
            self.clock.monotonic,
            self.clock.advance,
        )

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.clock.monotonic() - Clock().monotonic()

    def _check(self) -> VerificationFailure | None:
        self.checks += 1
        return self.failures.pop(0) if len(self.failures) > 1 else self.failures[0]


@pytest.fixture
def openclick(openclick: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Return the command of an installation on a machine that has no public name."""
    openclick.configure(NOBODY_IS_ASKED)
    with closing(openclick.store.registry(owner=True)):
        call_this_machine(monkeypatch, "mail")
    return openclick


def test_until_it_is_verified() -> None:
    """Every five seconds, and each reason is told once."""
    watched = Watched(MISSING, MISSING, LATE, None)

    failure = watched.wait(3600)

    assert failure is None
    assert (watched.checks, watched.seconds) == (4, 15.0)
    assert watched.notes == [
        f"openclick: {MISSING.message} [name_not_found]; trying again",
        f"openclick: {LATE.message} [answer_late]; trying again",
    ]


def test_until_the_time_is_up() -> None:
    """The last check comes right then, and its failure is returned."""
    watched = Watched(MISSING)

    failure = watched.wait(12)

    assert failure == MISSING
    assert (watched.checks, watched.seconds) == (4, 12.0)


def test_what_waiting_cannot_mend() -> None:
    """Is returned at once."""
    failure = VerificationFailure("public_hostname_missing", "is not set")
    watched = Watched(failure)

    assert watched.wait(3600) == failure
    assert (watched.checks, watched.notes) == (1, [])


def test_no_sidecar() -> None:
    """That is said beside the failure, once."""
    watched = Watched(MISSING, absent="it does not run; start it with: COMMAND")

    watched.wait(12)

    assert watched.notes[0] == "openclick: it does not run; start it with: COMMAND"
    assert len(watched.notes) == 2


def test_a_machine_without_a_public_name(openclick: CommandLine) -> None:
    """The domain is added; why no record can be named and what is to be set is said; status 1."""
    done = openclick("domain", "add", DOMAIN, "--opens", "--wait")

    assert done.status == 1
    assert (
        "No DNS record can be named yet: sidecar.public_hostname is not set, and this machine's "
        f'name, "mail", has no dot.\nSet it in {openclick.config_path} to the name under which the '
        'internet finds this machine:\n\n  [sidecar]\n  public_hostname = "mail.example.com"\n\n'
        "and then run: systemctl restart openclick-sidecar\n"
    ) in done.text
    assert "openclick: not verified: sidecar.public_hostname is not set" in done.err
    assert f"{DOMAIN} is added, and the sidecar goes on checking" in done.err


def test_a_machines_own_name(openclick: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is one for the internet, the record leads there without a setting."""
    call_this_machine(monkeypatch, "mail.openclick.example")

    added = openclick("domain", "add", DOMAIN, "--opens")
    shown = openclick("domain", "show", DOMAIN, "--json")

    assert f"  {TRACKING_DOMAIN}. 3600 IN CNAME mail.openclick.example.\n" in added.text
    assert "pending: publish the record below, and the sidecar will find it" in added.text
    (record,) = shown.json["tracking"]["dns_records"]
    assert record["value"] == "mail.openclick.example"


def test_verified(openclick: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines say so after the record, and what is still to be done."""
    monkeypatch.setattr(domain_verify, "check", lambda *_: None)

    done = openclick("domain", "add", DOMAIN, "--opens", "--wait")

    assert done.status == 0
    assert done.text.endswith(
        f"Verified: {TRACKING_DOMAIN} leads here.\n"
        f"Mail of {DOMAIN} is tracked from now on, as soon as Postfix hands it to the milter "
        "(openclick postfix).\n"
    )


def test_a_domain_without_defaults(openclick: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is promised of mail that does not ask for it."""
    monkeypatch.setattr(domain_verify, "check", lambda *_: None)

    done = openclick("domain", "add", DOMAIN, "--wait")

    assert f"Mail of {DOMAIN} that asks for it by a header is tracked from now on" in done.text


@pytest.mark.parametrize("words", [("add",), ("verify",)])
def test_ctrl_c(
    openclick: CommandLine, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Ends the waiting alone, and says so."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    if words == ("verify",):
        openclick("domain", "add", DOMAIN, "--opens")
    monkeypatch.setattr(domain_verify, "check", interrupted)

    done = openclick("domain", *words, DOMAIN, "--wait")

    assert done.status == 130
    assert done.err == (
        f"openclick: the sidecar goes on checking by itself; see: openclick domain show {DOMAIN}\n"
    )


def test_json(openclick: CommandLine) -> None:
    """One document, of how the domain stands in the end."""
    done = openclick("domain", "add", DOMAIN, "--opens", "--wait", "--json")

    shown = json.loads(done.text)
    assert done.status == 1
    assert shown["tracking"]["verification_failure"]["code"] == "public_hostname_missing"
