"""Every setting of `openclick.toml`, once.

The dataclasses below are the table: a field is an option, its metadata holds the parser, the
expectation that an error quotes, and the sentence that the sample file and the manual print.
`config.py` reads a file into them; nothing else parses settings.

Promises: a `Config` that exists is valid.  Limits: relations between options (does this directory
exist, is that port free) are the daemons' business at start, not this table's.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})+\Z")


@dataclass(frozen=True)
class Kind:
    """How one sort of value is read.

    `parse` takes what TOML gave and returns the value, or raises ValueError or TypeError; `needs`
    completes the sentence "need ..." of the error.
    """

    needs: str
    parse: Callable[[Any], Any]


@dataclass(frozen=True)
class HostPort:
    """An address to listen on or to ask: a literal IP address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _typed(value: Any, kind: type) -> Any:
    # bool is an int to Python, never to a person who writes a configuration.
    if type(value) is not kind:
        raise TypeError(value)
    return value


def _one_of(*words: str) -> Kind:
    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(value)
        return str(value)

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), parse)


def _whole(low: int, high: int) -> Kind:
    def parse(value: Any) -> int:
        number: int = _typed(value, int)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return Kind(f"a whole number from {low:,} to {high:,}", parse)


def _seconds(low: float, high: float) -> Kind:
    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(value)
        if not low <= value <= high:
            raise ValueError(value)
        return float(value)

    return Kind(f"seconds, a number from {low:g} to {high:g}", parse)


def _matching(needs: str, pattern: str) -> Kind:
    compiled = re.compile(pattern)

    def parse(value: Any) -> str:
        text: str = _typed(value, str)
        if not compiled.fullmatch(text):
            raise ValueError(value)
        return text

    return Kind(needs, parse)


def _list_of(item: Kind, needs: str) -> Kind:
    def parse(value: Any) -> tuple[Any, ...]:
        return tuple(item.parse(entry) for entry in _typed(value, list))

    return Kind(needs, parse)


def _parse_host_port(value: Any) -> HostPort:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})", _typed(value, str))
    if match is None:
        raise ValueError(value)
    host, port = match[1] or match[2], int(match[3])
    ipaddress.ip_address(host)
    if not 0 < port < 65536:
        raise ValueError(value)
    return HostPort(host, port)


def _parse_milter_socket(value: Any) -> str:
    match = re.fullmatch(
        r"unix:/[^\x00-\x1f\x7f]{1,99}|inet(6?):([0-9]{1,5})@(.+)", _typed(value, str)
    )
    if match is None:
        raise ValueError(value)
    if match[2] is not None:
        version = 6 if match[1] else 4
        if not 0 < int(match[2]) < 65536 or ipaddress.ip_address(match[3]).version != version:
            raise ValueError(value)
    return match[0]


def _parse_network(value: Any) -> IPNetwork:
    return ipaddress.ip_network(_typed(value, str))


def _parse_host_name(value: Any) -> str:
    name: str = _typed(value, str).lower().rstrip(".")
    if name and not HOST_NAME.match(name):
        raise ValueError(value)
    return name


BOOLEAN = Kind("true or false", lambda value: _typed(value, bool))
HOST_PORT = Kind('an address and a port, such as "127.0.0.1:8080" or "[::]:80"', _parse_host_port)
HOST_NAME_KIND = Kind("a host name of at least two labels, in ASCII", _parse_host_name)
NETWORK = Kind('a network, such as "10.0.0.0/8"', _parse_network)
LISTEN_LIST = _list_of(HOST_PORT, 'a list of addresses, such as ["0.0.0.0:80", "[::]:80"]')
NETWORK_LIST = _list_of(NETWORK, 'a list of networks, such as ["10.0.0.0/8", "2001:db8::/32"]')
WORD = _matching("a word of letters, digits, - and _", r"[A-Za-z0-9_-]{1,64}")
WORD_LIST = _list_of(WORD, 'a list of words, such as ["openclick-inject"]')
PATH = _matching("an absolute path", r"/[^\x00-\x1f\x7f]*")
MAYBE_PATH = _matching('an absolute path, or ""', r"(?:/[^\x00-\x1f\x7f]*)?")
STORE_URL = _matching('"sqlite:" and an absolute directory', r"sqlite:/[^\x00-\x1f\x7f]*")
MILTER_SOCKET = Kind(
    '"unix:" and an absolute path of at most 100 characters, "inet:PORT@ADDRESS" or '
    '"inet6:PORT@ADDRESS"',
    _parse_milter_socket,
)
HEADER_PREFIX = _matching(
    'letters, digits and hyphens that end in a hyphen, such as "X-Anypost-"',
    r"[A-Za-z][A-Za-z0-9-]{0,38}-",
)


def _option(default: Any, kind: Kind, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind, "text": text})


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
        MAYBE_PATH,
        "Where hits wait that the store cannot take.  Empty means the folder journal in the "
        "store's directory; on another file system it takes hits when the store's own is full.",
    )
    reserve_bytes: int = _option(
        67_108_864,
        _whole(0, 1_000_000_000_000),
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
        "https",
        _one_of("https", "http"),
        "The scheme of tracking links.  Write http only where nothing in front of the sidecar "
        "speaks TLS.",
    )
    port: int = _option(
        0,
        _whole(0, 65535),
        "The port that tracking links name; 0 names none, so that the scheme's own port holds.",
    )


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
    deadline_seconds: float = _option(
        5.0,
        _seconds(0.1, 60),
        "How long one message may be worked on.  After that it goes out untouched.",
    )
    max_message_bytes: int = _option(
        10_240_000,
        _whole(10_000, 1_000_000_000),
        "The largest message, after instrumenting, that the milter hands back.  Keep it at or "
        "below Postfix's message_size_limit: growth past that limit is a permanent 552.",
    )


@dataclass(frozen=True)
class RetentionSettings:
    """How long personal data is kept."""

    messages_days: int = _option(
        400,
        _whole(1, 10_000),
        "How long message rows are kept.  Links go on working without them; events then carry the "
        "link's destination and our id alone.",
    )
    hits_days: int = _option(
        30,
        _whole(1, 10_000),
        "How long hits and their verdicts are kept.  A hit that is not judged yet stays.",
    )
    events_days: int = _option(
        400,
        _whole(1, 10_000),
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
    public_hostname: str = _option(
        "",
        HOST_NAME_KIND,
        "The host name of this machine on the internet.  A tracking domain is a CNAME to it.",
    )
    hold_seconds: float = _option(
        3.0,
        _seconds(0, 60),
        "How long a hit waits before it is judged, so that a scanner's burst can be seen whole.",
    )


@dataclass(frozen=True)
class DnsSettings:
    """How tracking domains are looked up; never while a mail or a hit waits."""

    nameservers: tuple[HostPort, ...] = _option(
        (),
        LISTEN_LIST,
        "The name servers to ask; none means those of /etc/resolv.conf.",
    )
    timeout_seconds: float = _option(
        5.0,
        _seconds(0.1, 60),
        "How long one question to the name servers may take in all.",
    )


@dataclass(frozen=True)
class WebhookSettings:
    """How events are posted."""

    allow_http: bool = _option(
        False,
        BOOLEAN,
        "Whether a webhook may have an http address.  Events hold personal data: leave it off "
        "outside tests.",
    )
    timeout_seconds: float = _option(
        15.0,
        _seconds(0.1, 120),
        "How long one POST may take in all, from connecting to the end of the answer.",
    )


@dataclass(frozen=True)
class LogSettings:
    """What the daemons write to standard error, which systemd's journal keeps."""

    level: str = _option(
        "info",
        _one_of("debug", "info", "warning", "error"),
        "The least important line that is written.",
    )


@dataclass(frozen=True)
class Config:
    """The whole of `openclick.toml`: one field a section."""

    store: StoreSettings = StoreSettings()
    keys: KeySettings = KeySettings()
    links: LinkSettings = LinkSettings()
    milter: MilterSettings = MilterSettings()
    sidecar: SidecarSettings = SidecarSettings()
    dns: DnsSettings = DnsSettings()
    retention: RetentionSettings = RetentionSettings()
    webhooks: WebhookSettings = WebhookSettings()
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
