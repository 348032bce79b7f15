"""Every setting of `openclick.toml`, once.

The dataclasses below are the table: a field is an option, its metadata holds the parser, the
expectation that an error quotes, and the sentence that the sample file and the manual print.
`config.py` reads a file into them; nothing else parses settings.

Promises: a `Config` that exists is valid.  Limits: relations between options (does this directory
exist, is that port free) are the daemons' business at start, not this table's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openclick.api_settings import ApiSettings
from openclick.domain_settings import DnsSettings, VerificationSettings
from openclick.option_kinds import (
    BOOLEAN,
    HEADER_PREFIX,
    HOST_NAME_KIND,
    LISTEN_LIST,
    MILTER_SOCKET,
    NETWORK_LIST,
    OPTIONAL_PATH,
    PATH,
    PATH_LIST,
    STORE_URL,
    WORD_LIST,
    HostPort,
    IPNetwork,
    Kind,
    one_of,
    seconds,
    whole,
)
from openclick.option_kinds import option as _option
from openclick.tls_settings import AcmeSettings, TlsSettings
from openclick.webhook_settings import WebhookSettings

_OWN_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class StoreSettings:
    """Where everything is kept."""

    url: str = _option(
        "sqlite:/var/lib/openclick",
        STORE_URL,
        "The store's directory.  It holds openclick.db, messages.db and hits.db; both daemons "
        "read it, each writes its own files.",
    )
    journal_directory: str = _option(
        "",
        OPTIONAL_PATH,
        "Where hits wait that the store cannot take.  Empty means the folder journal in the "
        "store's directory; on another file system it takes hits when the store's own is full.",
    )
    reserve_bytes: int = _option(
        67_108_864,
        whole(0, 1_000_000_000_000),
        "How much of the store's file system hits leave free.  Below it they go to the journal, "
        "which may use half of it, so that old rows can still be removed.",
    )


@dataclass(frozen=True)
class KeySettings:
    """The keys that seal and open tracking links."""

    directory: str = _option(
        "/var/lib/openclick/keys",
        PATH,
        "The directory of the link keys.  Back it up: a link outlives everything but its key.",
    )


@dataclass(frozen=True)
class LinkSettings:
    """The shape of tracking links and open images."""

    scheme: str = _option(
        "auto",
        one_of("auto", "https", "http"),
        "The scheme of tracking links: auto for https as soon as a tracking domain can be reached "
        "by it, and http until then.  A domain may say otherwise for itself.",
    )
    port: int = _option(
        0,
        whole(0, 65535),
        "The port that tracking links name; 0 names none, so that the scheme's own port holds.",
    )
    https_port: int = _option(
        0,
        whole(0, 65535),
        "The port that https links name where it is another than that of http; 0 for links.port.",
    )

    def port_of(self, scheme: str) -> int:
        """Return the port that links of this scheme name; 0 where they name none."""
        port = self.https_port or self.port if scheme == "https" else self.port
        return 0 if port == _OWN_PORTS[scheme] else port


@dataclass(frozen=True)
class MilterSettings:
    """openclick-milter, which Postfix talks to."""

    socket: str = _option(
        "unix:/var/spool/postfix/openclick/milter.sock",
        MILTER_SOCKET,
        "Where Postfix reaches the milter.  A Unix socket below the queue directory serves a "
        "chrooted smtpd too; a TCP socket costs 45 to 90 ms a message.",
    )
    trusted_networks: tuple[IPNetwork, ...] = _option(
        (),
        NETWORK_LIST,
        "Clients that may submit tracked mail without authentication, beside this machine itself.",
    )
    trusted_daemons: tuple[str, ...] = _option(
        ("openclick-inject",),
        WORD_LIST,
        "Listeners (milter_macro_daemon_name in master.cf) whose mail is a submission whoever the "
        "client is.",
    )
    header_prefix: str = _option(
        "X-Anypost-",
        HEADER_PREFIX,
        "How control headers begin: this prefix, then Track-Opens, Track-Clicks, Tags, Topic or "
        "Campaign.",
    )
    vendor_headers: bool = _option(
        False,
        BOOLEAN,
        "Whether the tracking headers of big mail services (X-PM-TrackOpens, X-MC-Track, ...) are "
        "understood and removed too.  Ours win.",
    )
    conditional_comments: bool = _option(
        False,
        BOOLEAN,
        "Whether links inside Outlook's conditional comments are tracked too.",
    )
    instrument_signed: bool = _option(
        False,
        BOOLEAN,
        "Whether mail that already carries a DKIM-Signature is instrumented too.  That breaks the "
        "signature: switch it on only where a later signer replaces it.",
    )
    deadline_seconds: float = _option(
        5.0,
        seconds(0.1, 60),
        "How long one message may be worked on.  After that it goes out untouched.",
    )
    max_message_bytes: int = _option(
        10_240_000,
        whole(10_000, 1_000_000_000),
        "The largest message, after instrumenting, that the milter hands back.  Keep it at or "
        "below Postfix's message_size_limit: growth past that limit is a permanent 552.",
    )


@dataclass(frozen=True)
class RetentionSettings:
    """How long personal data is kept."""

    messages_days: int = _option(
        400,
        whole(1, 10_000),
        "How long message rows are kept.  Links go on working without them; events then carry the "
        "link's destination and our id alone.",
    )
    hits_days: int = _option(
        30,
        whole(1, 10_000),
        "How long hits and their verdicts are kept.  A hit that is not judged yet stays.",
    )
    events_days: int = _option(
        400,
        whole(1, 10_000),
        "How long events and their deliveries are kept.  An event stays as long as a webhook has "
        "not read it, or a delivery holds it.",
    )


@dataclass(frozen=True)
class SidecarSettings:
    """openclick-sidecar, which answers the tracking domains and posts events."""

    listen: tuple[HostPort, ...] = _option(
        (HostPort("127.0.0.1", 8025),),
        LISTEN_LIST,
        "Where tracking links and open images are answered, in plain HTTP.",
    )
    tls_listen: tuple[HostPort, ...] = _option(
        (),
        LISTEN_LIST,
        "Where they are answered by https, with the certificates of tls.certificates_directory.",
    )
    proxy_protocol_listen: tuple[HostPort, ...] = _option(
        (),
        LISTEN_LIST,
        "Where they are answered too, to proxies that begin each connection with a PROXY protocol "
        "header (version 1 or 2); only those of trusted_proxies are let in.",
    )
    metrics_listen: tuple[HostPort, ...] = _option(
        (HostPort("127.0.0.1", 8026),),
        LISTEN_LIST,
        "Where /status, /metrics, /healthz and /readyz are answered; an empty list switches them "
        "off.  Whoever reaches them may read them, but for /status.",
    )
    status_login_file: str = _option(
        "",
        OPTIONAL_PATH,
        "The file with the one line USER:PASSWORD that the status page asks for.  Empty means that "
        "the page asks for nothing, and is for this machine alone.",
    )
    trusted_proxies: tuple[IPNetwork, ...] = _option(
        (),
        NETWORK_LIST,
        "Proxies whose word is taken for the client's address: in X-Forwarded-For, the right-most "
        "hop that is none of them, and in the PROXY protocol.",
    )
    max_connections: int = _option(
        4000,
        whole(1, 1_000_000),
        "How many connections of readers may be open at once.  Each takes a file descriptor.",
    )
    max_connections_per_address: int = _option(
        256,
        whole(1, 1_000_000),
        "How many of them one IPv4 address or one IPv6 /64 may have, such as an office behind one "
        "router; trusted_proxies may have all.",
    )
    public_hostname: str = _option(
        "",
        HOST_NAME_KIND,
        "The host name of this machine on the internet.  A tracking domain is a CNAME to it.  "
        "Empty means Postfix's myhostname, or this machine's own name where there is no Postfix; "
        "one that nobody outside can know (without a dot, .local, .internal ...) is not taken.",
    )
    hold_seconds: float = _option(
        3.0,
        seconds(0, 60),
        "How long a hit waits before it is judged, so that a scanner's burst can be seen whole.",
    )


@dataclass(frozen=True)
class JudgeSettings:
    """How the sidecar tells people from machines, beyond the rules that come with it."""

    rules_file: str = _option(
        "",
        OPTIONAL_PATH,
        "Rules of your own: asked before those of OpenClick, some of which they may take out.",
    )
    scanner_networks: tuple[str, ...] = _option(
        (),
        PATH_LIST,
        "Files of networks, as their owners publish them, from which every click is a machine's.",
    )
    too_soon_seconds: float = _option(
        30.0,
        seconds(0, 3600),
        "How long after its submission a hit with a sign of a machine is dropped; 0 for never.",
    )
    missing_fields: bool = _option(
        False,
        BOOLEAN,
        "Whether a request header that every browser sends is such a sign where it is missing.  "
        "Catches scanners that copy a browser's user agent and no more; also drops what you fetch "
        "by hand with such a user agent, and opens through image proxies that name none.",
    )


@dataclass(frozen=True)
class LogSettings:
    """What the daemons write, and where."""

    level: str = _option(
        "info",
        one_of("debug", "info", "warning", "error"),
        "The least important line that is written.",
    )
    target: str = _option(
        "stderr",
        one_of("stderr", "syslog"),
        "Where lines go: stderr, which systemd's journal keeps with their levels, or syslog "
        "(/dev/log, facility mail), beside Postfix's own.",
    )


@dataclass(frozen=True)
class Config:
    """The whole of `openclick.toml`: one field a section."""

    store: StoreSettings = StoreSettings()
    keys: KeySettings = KeySettings()
    links: LinkSettings = LinkSettings()
    milter: MilterSettings = MilterSettings()
    sidecar: SidecarSettings = SidecarSettings()
    tls: TlsSettings = TlsSettings()  # noqa: RUF009 - frozen, as those that stand here
    acme: AcmeSettings = AcmeSettings()  # noqa: RUF009
    judge: JudgeSettings = JudgeSettings()
    dns: DnsSettings = DnsSettings()  # noqa: RUF009
    verification: VerificationSettings = VerificationSettings()  # noqa: RUF009
    retention: RetentionSettings = RetentionSettings()
    webhooks: WebhookSettings = WebhookSettings()  # noqa: RUF009
    api: ApiSettings = ApiSettings()  # noqa: RUF009
    log: LogSettings = LogSettings()


@dataclass(frozen=True)
class Setting:
    """One row of the table, for documentation and validation."""

    section: str
    name: str
    kind: Kind
    default: Any
    text: str


SECTIONS: dict[str, type] = {
    field.name: type(field.default) for field in dataclasses.fields(Config)
}


def table() -> Iterator[Setting]:
    """Yield every setting in the order of the sample file."""
    for section, cls in SECTIONS.items():
        for field in dataclasses.fields(cls):
            metadata = field.metadata
            yield Setting(section, field.name, metadata["kind"], field.default, metadata["text"])
