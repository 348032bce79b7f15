"""What this machine is called on the internet where the settings do not say it."""

from pathlib import Path

import pytest

from openclick import public_name as module
from openclick.public_name import PublicName, own_name, public_name
from openclick.settings import Config, SidecarSettings

MYHOSTNAME = "Postfix's myhostname"
MACHINE = "this machine's name"


def test_the_setting_wins() -> None:
    """Nobody is asked where it is set."""
    config = Config(sidecar=SidecarSettings(public_hostname="mail.kontor.example"))

    found = public_name(config)

    assert found == PublicName("mail.kontor.example", "sidecar.public_hostname")


def test_myhostname() -> None:
    """What Postfix greets other mail servers by, written as names are compared."""
    found = own_name(lambda: "Mail.Kontor.Example.", lambda: "inner.kontor.example")

    assert found == PublicName("mail.kontor.example", MYHOSTNAME)


def test_a_machine_without_postfix() -> None:
    """Its own name does."""
    found = own_name(lambda: "", lambda: "mail.kontor.example\n")

    assert found == PublicName("mail.kontor.example", MACHINE)


@pytest.mark.parametrize(
    ("name", "unfit"),
    [
        ("mail", "has no dot"),
        ("localhost", "has no dot"),
        ("mail.localdomain", "is a name for inside only"),
        ("localhost.localdomain", "is a name for inside only"),
        ("app.localhost", "is a name for inside only"),
        ("printer.local", "is a name for inside only"),
        ("ip-10-0-0-7.eu-west-1.compute.internal", "is a name for inside only"),
        ("nas.home.arpa", "is a name for inside only"),
        ("mail.lan", "is a name for inside only"),
        ("192.0.2.7", "is no host name"),
        ("under_score.kontor.example", "is no host name"),
        ("mail..example", "is no host name"),
    ],
)
def test_a_name_that_the_internet_cannot_know(name: str, unfit: str) -> None:
    """Is not taken, and is quoted with what is wrong with it."""
    found = own_name(lambda: name)

    assert found.name == ""
    assert found.fault == (
        f'sidecar.public_hostname is not set, and {MYHOSTNAME}, "{name}", {unfit}'
    )


def test_a_name_that_ends_like_an_inner_one() -> None:
    """Only whole labels count."""
    found = own_name(lambda: "mail.thecorp.example.mylan")

    assert found.name == "mail.thecorp.example.mylan"


def test_the_settings_get_it() -> None:
    """As if the admin had written it."""
    config = PublicName("mail.kontor.example", MYHOSTNAME).given_to(Config())

    assert config.sidecar.public_hostname == "mail.kontor.example"
    assert config.store == Config().store


def a_postconf(folder: Path, script: str) -> None:
    """Put a program of that name into a folder."""
    program = folder / "postconf"
    program.write_text(f"#!/bin/sh\n{script}\n", "ascii")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ('[ "$*" = "-xh myhostname" ] && echo mail.kontor.example', "mail.kontor.example"),
        ("echo 'fatal: open /etc/postfix/main.cf' >&2; exit 1", "inner.kontor.example"),
    ],
    ids=["it answers", "it has no configuration"],
)
def test_postconf_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str
) -> None:
    """By its own program; a Postfix that nobody has configured says nothing."""
    a_postconf(tmp_path, script)
    monkeypatch.setattr(module, "_PATH", str(tmp_path))

    found = own_name(ask_machine=lambda: "inner.kontor.example")

    assert found.name == name


def test_no_postconf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no Postfix nothing is run."""
    monkeypatch.setattr(module, "_PATH", str(tmp_path))

    found = own_name(ask_machine=lambda: "inner.kontor.example")

    assert found == PublicName("inner.kontor.example", MACHINE)
