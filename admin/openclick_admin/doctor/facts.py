"""What a look at this machine can find, as plain data: all that the checks judge.

Filled by the gather modules, read by the judge modules, written by hand in tests.  A fact that
could not be had is None, with the reason in the `fault` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from openclick.domains import SendingDomain
from openclick.instants import Instant
from openclick.settings import Config
from openclick.store import FileReport, Heartbeat, WebhookState
from openclick.tracking_certificates import TrackingCertificate
from openclick_admin.postconf import Postfix


class Stage(Enum):
    """How far a knock at the milter's socket came."""

    PATH = "path"
    CONNECT = "connect"
    TALK = "talk"
    DONE = "done"


@dataclass(frozen=True)
class Knock:
    """One attempt to reach the milter as Postfix does.

    `user` is whom we were for it, `chrooted` whether the queue directory was our root; `error` says
    what went wrong at `stage`, and `blocked_at` is the part of the path that could not be entered.
    """

    user: str
    chrooted: bool
    stage: Stage
    error: str = ""
    blocked_at: str = ""


@dataclass(frozen=True)
class PostfixFacts:
    """Postfix as it is set up and as it runs.

    `default_action` is what this version does where nothing is written; `corrupt` are the files in
    the queue's corrupt/, None where we may not look.
    """

    postfix: Postfix | None = None
    fault: str = ""
    running: bool = True
    corrupt: tuple[str, ...] | None = ()
    knocks: tuple[Knock, ...] = ()


@dataclass(frozen=True)
class MilterFacts:
    """What the milter says of itself in messages.db; `heartbeat` is None where it never ran.

    `process_lives` tells whether there is a process of that pid, None where that cannot be seen.
    """

    heartbeat: Heartbeat | None = None
    process_lives: bool | None = None
    fault: str = ""


class Answer(Enum):
    """What came back from an address on which the sidecar should answer."""

    OURS = "ours"
    OTHER = "other"
    NOTHING = "nothing"


@dataclass(frozen=True)
class PortFacts:
    """One address of the settings, such as sidecar.listen's; `holder` is the program that has it.

    `detail` is what came instead of our answer.
    """

    setting: str
    address: str
    answer: Answer
    detail: str = ""
    holder: str = ""


@dataclass(frozen=True)
class SidecarFacts:
    """The running sidecar: `not_ready` are the reasons of /readyz, `samples` those of /metrics.

    `version` is "" where /metrics did not tell it.
    """

    ports: tuple[PortFacts, ...] = ()
    not_ready: tuple[str, ...] = ()
    version: str = ""
    samples: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreFacts:
    """The store's files and what stands beside them.

    `unjudged_at` is when the oldest hit came that was not judged yet, None where there is none.
    """

    directory: str = ""
    reports: tuple[FileReport, ...] = ()
    directory_faults: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    journal_directory: str = ""
    journal_bytes: int = 0
    free_bytes: int | None = None
    unjudged: int = 0
    unjudged_at: Instant | None = None
    fault: str = ""


@dataclass(frozen=True)
class KeyFacts:
    """The keys; `open_files` are those whose rights let more people read them than should.

    `unreadable` and `strays` tell what is wrong with a key's file, or with one that is none;
    `seals` is False where such a key keeps new links from being sealed.
    """

    key_ids: tuple[int, ...] = ()
    open_files: tuple[str, ...] = ()
    other_group: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    seals: bool = True
    fault: str = ""


@dataclass(frozen=True)
class Fetch:
    """One self-fetch: https or http through the name, at one of its addresses.

    `not_before_at` and `not_after_at` are begin and end of the certificate that was shown,
    `mistrust` why a browser would not take it, "" where it would.
    """

    scheme: str
    address: str
    answer: Answer
    detail: str = ""
    not_after_at: Instant | None = None
    mistrust: str = ""
    not_before_at: Instant | None = None


@dataclass(frozen=True)
class DomainFacts:
    """One sending domain, what DNS says of its tracking domain now, and whether that leads here.

    `cname` and `addresses` are what name servers said; `dns_fault` is why they could not be asked,
    `exists` False for NXDOMAIN.
    """

    domain: SendingDomain
    exists: bool = True
    cname: str | None = None
    addresses: frozenset[str] = frozenset()
    dns_fault: str = ""
    fetches: tuple[Fetch, ...] = ()


@dataclass(frozen=True)
class NameFacts:
    """The domains, and the host that they point to.

    `host_addresses` are those of sidecar.public_hostname, `host_fault` why they are not known.
    """

    domains: tuple[DomainFacts, ...] = ()
    host_addresses: frozenset[str] = frozenset()
    host_fault: str = ""
    certificates: tuple[TrackingCertificate, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class TrafficFacts:
    """What came lately: `addresses` of the newest hits, messages by outcome, reasons of untouched.

    `instrumented` and `untouched` count copies of the last day.
    """

    addresses: tuple[str, ...] = ()
    instrumented: int = 0
    untouched: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class ClockFacts:
    """The machine's clock: `synchronised` is the kernel's word, None where it has none.

    `latest_at` is the latest instant in the store, `latest_what` what was written then.
    """

    synchronised: bool | None = True
    latest_at: Instant | None = None
    latest_what: str = ""


@dataclass(frozen=True)
class Versions:
    """What runs: `libraries` by name, "" where one is missing."""

    openclick: str
    python: str
    sqlite: str
    libraries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All facts of one moment, `now`; `is_root` tells whether we may see all there is to see."""

    now: Instant
    config: Config
    config_path: str
    is_root: bool
    versions: Versions
    clock: ClockFacts = ClockFacts()
    postfix: PostfixFacts = PostfixFacts()
    milter: MilterFacts = MilterFacts()
    sidecar: SidecarFacts = SidecarFacts()
    store: StoreFacts = StoreFacts()
    keys: KeyFacts = KeyFacts()
    names: NameFacts = NameFacts()
    traffic: TrafficFacts = TrafficFacts()
    webhooks: tuple[WebhookState, ...] = ()
    webhooks_fault: str = ""
