"""The settings table: what each option takes, and what it refuses."""

import ipaddress
import math
from datetime import date
from typing import Any

import pytest

from openclick.option_kinds import HostPort
from openclick.settings import SECTIONS, Config, Setting, table

ROWS = {f"{row.section}.{row.name}": row for row in table()}


def option(name: str, value: Any) -> Any:
    """Return what option `name` makes of `value`; raises ValueError or TypeError."""
    return ROWS[name].kind.parse(value)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_option_can_be_explained(row: Setting) -> None:
    """Sample file and manual print a sentence and an expectation for each."""
    assert row.text.endswith(".")
    assert row.kind.needs
    assert row.name.isidentifier()


def test_every_section_has_a_summary_of_one_line() -> None:
    """It stands above the section in the sample file, as a comment."""
    for section in SECTIONS.values():
        assert section.__doc__
        assert "\n" not in section.__doc__


def test_table_and_config_hold_the_same_defaults() -> None:
    """A Config without a file is what the sample file prints."""
    config = Config()

    for row in table():
        assert row.default == getattr(getattr(config, row.section), row.name)


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [
        ("store.url", "sqlite:/srv/openclick", "sqlite:/srv/openclick"),
        ("keys.directory", "/srv/keys", "/srv/keys"),
        ("links.scheme", "http", "http"),
        ("links.port", 0, 0),
        ("links.port", 65535, 65535),
        ("milter.socket", "unix:/run/m.sock", "unix:/run/m.sock"),
        ("milter.socket", "unix:/" + "a" * 98, "unix:/" + "a" * 98),
        ("milter.socket", "unix:/" + "ä" * 49, "unix:/" + "ä" * 49),
        ("milter.socket", "inet:8890@127.0.0.1", "inet:8890@127.0.0.1"),
        ("milter.socket", "inet6:8890@::1", "inet6:8890@::1"),
        ("milter.trusted_networks", [], ()),
        ("milter.trusted_networks", ["10.0.0.0/8"], (ipaddress.ip_network("10.0.0.0/8"),)),
        ("milter.trusted_networks", ["2001:db8::1"], (ipaddress.ip_network("2001:db8::1/128"),)),
        ("milter.trusted_daemons", ["a-B_9"], ("a-B_9",)),
        ("milter.header_prefix", "X-Mail-", "X-Mail-"),
        ("milter.conditional_comments", True, True),
        ("milter.deadline_seconds", 2, 2.0),
        ("milter.max_message_bytes", 10_000, 10_000),
        ("sidecar.listen", ["[::]:80"], (HostPort("::", 80),)),
        ("sidecar.public_hostname", "Mail.Kontor.Example.", "mail.kontor.example"),
        ("sidecar.public_hostname", "", ""),
        ("sidecar.hold_seconds", 0, 0.0),
        ("log.level", "debug", "debug"),
    ],
)
def test_accepted(name: str, value: Any, parsed: Any) -> None:
    """What an admin may write, and what the daemons see of it."""
    found = option(name, value)

    assert parsed == found
    assert type(parsed) is type(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store.url", "/var/lib/openclick"),
        ("store.url", "sqlite:relative"),
        ("store.url", "sqlite:/a\nb"),
        ("store.url", "postgresql://db"),
        ("keys.directory", "keys"),
        ("keys.directory", "/a\x00b"),
        ("links.scheme", "ftp"),
        ("links.scheme", True),
        ("links.port", 65536),
        ("links.port", -1),
        ("links.port", True),
        ("links.port", "80"),
        ("links.port", 80.0),
        ("milter.socket", "local:/run/m.sock"),
        ("milter.socket", "unix:m.sock"),
        ("milter.socket", "unix:/" + "a" * 99),
        ("milter.socket", "unix:/" + "ä" * 50),
        ("milter.socket", "inet:0@127.0.0.1"),
        ("milter.socket", "inet:65536@127.0.0.1"),
        ("milter.socket", "inet:8890@127.0.0"),
        ("milter.socket", "inet:8890@::1"),
        ("milter.socket", "inet6:8890@127.0.0.1"),
        ("milter.trusted_networks", "10.0.0.0/8"),
        ("milter.trusted_networks", ["10.0.0.1/8"]),
        ("milter.trusted_networks", [10]),
        ("milter.trusted_daemons", ["two words"]),
        ("milter.trusted_daemons", [""]),
        ("milter.header_prefix", "X-Mail"),
        ("milter.header_prefix", "X Mail-"),
        ("milter.conditional_comments", 1),
        ("milter.conditional_comments", "true"),
        ("milter.deadline_seconds", 0),
        ("milter.deadline_seconds", math.nan),
        ("milter.deadline_seconds", math.inf),
        ("milter.deadline_seconds", True),
        ("milter.deadline_seconds", "5"),
        ("milter.deadline_seconds", 10**400),
        ("milter.max_message_bytes", 9_999),
        ("sidecar.listen", ["localhost:80"]),
        ("sidecar.listen", ["127.0.0.1"]),
        ("sidecar.listen", ["127.0.0.1:0"]),
        ("sidecar.listen", ["127.0.0.1:65536"]),
        ("sidecar.listen", ["::1:80"]),
        ("sidecar.listen", ["[::g]:80"]),
        ("sidecar.public_hostname", "mail"),
        ("sidecar.public_hostname", "mail.kontor.example:80"),
        ("sidecar.public_hostname", "-mail.kontor.example"),
        ("log.level", "verbose"),
        ("log.level", ["info"]),
        ("log.level", date(2025, 1, 1)),
    ],
)
def test_refused(name: str, value: Any) -> None:
    """What cannot be meant is refused at start, not met at midnight."""
    with pytest.raises((ValueError, TypeError)):
        option(name, value)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_no_option_takes_a_table_or_a_date(row: Setting) -> None:
    """Whatever TOML can say besides, each option refuses it by ValueError or TypeError."""
    for value in ({}, {"a": 1}, date(2025, 1, 1), [[]], [{}]):
        with pytest.raises((ValueError, TypeError)):
            row.kind.parse(value)


@pytest.mark.parametrize(
    ("address", "text"),
    [(HostPort("127.0.0.1", 80), "127.0.0.1:80"), (HostPort("::1", 80), "[::1]:80")],
)
def test_an_address_is_written_as_it_is_read(address: HostPort, text: str) -> None:
    """Log lines and the sample file show what could stand in the file."""
    assert text == str(address)
    assert (address,) == option("sidecar.listen", [text])
