"""Judges both daemons, the ports, the clock and the versions; pure."""

from __future__ import annotations

from collections.abc import Iterator

from openclick.instants import SECOND, Instant, iso
from openclick_admin.doctor.facts import Answer, Facts, Knock, PortFacts, Stage
from openclick_admin.doctor.findings import Finding, fault, ok, warning
from openclick_admin.sidecar_presence import START_SIDECAR as START_THE_FIRST_TIME

_SILENT_SECONDS = 35
"""The milter beats every ten seconds; three beats may be missed."""
_AHEAD_SECONDS = 60
_NEEDED = {"Twisted": "sidecar", "treq": "sidecar", "dnspython": "sidecar", "pyOpenSSL": "sidecar"}
START_MILTER = "systemctl start openclick-milter, and see: journalctl -u openclick-milter"
START_SIDECAR = (
    "systemctl start openclick-sidecar, and see: journalctl -u openclick-sidecar; "
    f"the first time: {START_THE_FIRST_TIME}"
)


def milter(facts: Facts) -> Iterator[Finding]:
    """Whether the milter runs, by its heartbeat."""
    known = facts.milter
    if known.fault:
        yield fault(
            "milter", known.fault, "the milter makes messages.db when it starts: " + START_MILTER
        )
        return
    beat = known.heartbeat
    if beat is None:
        yield fault("milter", "has never run on this store", START_MILTER)
        return
    silent_seconds = _age_seconds(beat.beat_at, facts.now)
    if silent_seconds > _SILENT_SECONDS:
        yield fault(
            "milter",
            f"gave its last sign of life {silent_seconds} s ago (pid {beat.pid})",
            START_MILTER,
        )
        return
    if known.process_lives is False:
        yield warning(
            "milter",
            f"beat {silent_seconds} s ago, but its pid {beat.pid} is not seen on this machine: it "
            "has just ended, or runs in a container",
            START_MILTER,
        )
        return
    counts = " ".join(f"{name}={number}" for name, number in sorted(beat.counters.items()))
    yield ok("milter", f"runs since {iso(beat.started_at)} (pid {beat.pid}) {counts}".rstrip())
    if failed := beat.counters.get("faults", 0):
        yield warning(
            "milter",
            f"{failed} messages went out untouched for a fault of ours",
            "see its log lines with reason=: journalctl -u openclick-milter -p warning",
        )


def socket(facts: Facts) -> Iterator[Finding]:
    """Whether Postfix reaches the milter, with the rights that Postfix has."""
    path = facts.config.milter.socket
    for knock in facts.postfix.knocks:
        yield _knocked(knock, path)
    if not path.startswith("unix:"):
        yield warning(
            "milter.socket",
            f"{path} is a TCP socket, which costs 45 to 90 ms a message",
            "use a Unix socket in Postfix's queue directory where you can",
        )


def _knocked(knock: Knock, path: str) -> Finding:
    who = f"user {knock.user}" + (" (in the chroot)" if knock.chrooted else "")
    if knock.stage is Stage.DONE:
        return ok("milter.socket", f"{path} answers {who}")
    if knock.stage is Stage.TALK:
        return fault(
            "milter.socket",
            f"what answers {who} at {path} is no milter: {knock.error}",
            "name a socket of its own in milter.socket",
        )
    if knock.blocked_at:
        return fault(
            "milter.socket",
            f"{who} may not enter {knock.blocked_at}: {knock.error}",
            f"chown openclick-milter:postfix {knock.blocked_at}; chmod 2750 {knock.blocked_at}",
        )
    if knock.error.startswith("Permission denied"):
        return fault(
            "milter.socket",
            f"{who} may not connect to {path}: {knock.error}",
            "the socket's directory must be of the group postfix with mode 2750: "
            "systemd-tmpfiles --create openclick-milter.conf; then restart the milter",
        )
    if knock.stage is Stage.PATH:
        chroot = ", or it is not below the queue directory" if knock.chrooted else ""
        return fault(
            "milter.socket",
            f"{who} finds no {path}: {knock.error}",
            f"the milter does not run{chroot}: {START_MILTER}",
        )
    return fault("milter.socket", f"{path} does not answer {who}: {knock.error}", START_MILTER)


def sidecar(facts: Facts) -> Iterator[Finding]:
    """Whether the sidecar runs and is ready for hits."""
    known = facts.sidecar
    if not any(port.answer is Answer.OURS for port in known.ports):
        yield fault(
            "sidecar", "answers nowhere: links and images are dead until it runs", START_SIDECAR
        )
        return
    for reason in known.not_ready:
        yield fault("sidecar", f"is not ready: {reason}", "see: journalctl -u openclick-sidecar")
    if not known.not_ready:
        yield ok("sidecar", "runs and is ready for hits")
    lost = known.samples.get('openclick_sidecar_hits_total{outcome="lost"}', 0)
    if lost:
        yield fault(
            "hits",
            f"{lost:.0f} hits since the sidecar's start reached no disk; their readers were served",
            "see the store's checks, and: journalctl -u openclick-sidecar -p err",
        )


def ports(facts: Facts) -> Iterator[Finding]:
    """Whether our listeners have their ports, and no other program has one."""
    for port in facts.sidecar.ports:
        yield _port(port)
    if not facts.config.sidecar.metrics_listen:
        yield warning(
            "sidecar.metrics_listen",
            "is empty: readiness and losses cannot be seen",
            'set metrics_listen = ["127.0.0.1:8026"]',
        )


def _port(port: PortFacts) -> Finding:
    where = f"{port.setting} {port.address}"
    by = f", which {port.holder} holds" if port.holder else ""
    if port.answer is Answer.OURS:
        return ok(where, "the sidecar answers")
    if port.answer is Answer.OTHER:
        return fault(
            where,
            f"another program answers{by}: {port.detail}",
            f"end that program, or name another port in {port.setting}",
        )
    return fault(where, f"no answer{by}: {port.detail}", START_SIDECAR)


def clock(facts: Facts) -> Iterator[Finding]:
    """Whether the clock is right: tokens, signatures, certificates and verdicts go by it."""
    latest = facts.clock.latest_at
    if latest is not None and latest > facts.now + _AHEAD_SECONDS * SECOND:
        ahead = _age_seconds(facts.now, latest)
        yield fault(
            "clock",
            f"says {iso(facts.now)}, but {facts.clock.latest_what} was written "
            f"{ahead} s later than that: it has been put back",
            "set it, and let chrony or systemd-timesyncd keep it",
        )
    elif facts.clock.synchronised is False:
        yield warning(
            "clock",
            "the kernel does not know it to be synchronised",
            "run chrony or systemd-timesyncd: webhooks refuse signatures that are minutes off",
        )
    else:
        known = "synchronised" if facts.clock.synchronised else "not known to be wrong"
        yield ok("clock", f"{iso(facts.now)}, {known}")


def versions(facts: Facts) -> Iterator[Finding]:
    """Whether everything that runs is of one version, and every library is there."""
    ours = facts.versions.openclick
    beat = facts.milter.heartbeat
    running = {
        "milter": (beat.version if beat else "", "systemctl reload openclick-milter"),
        "sidecar": (facts.sidecar.version, "systemctl restart openclick-sidecar"),
    }
    for name, (version, cure) in running.items():
        if version and version != ours:
            yield warning(name, f"runs version {version}, but {ours} is installed", cure)
    for library, program in _NEEDED.items():
        if facts.versions.libraries.get(library) == "":
            yield fault(
                library,
                f"is not installed, and the {program} needs it",
                f"install it: apt install openclick-{program}",
            )
    if facts.config.acme.directory_url and facts.versions.libraries.get("acme") == "":
        yield fault(
            "acme",
            "acme.directory_url is set, but the library acme is not installed",
            "apt install python3-acme, and restart the sidecar",
        )
    there = [f"{name} {version}" for name, version in facts.versions.libraries.items() if version]
    yield ok(
        "versions",
        f"OpenClick {ours}, Python {facts.versions.python}, SQLite "
        f"{facts.versions.sqlite}, {', '.join(there)}",
    )


def _age_seconds(since: Instant, until: Instant) -> int:
    return (until - since) // SECOND
