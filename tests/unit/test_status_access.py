"""Who may see the status page: this machine, or whoever knows the login."""

import base64
from pathlib import Path

import pytest

from openclick.config import ConfigError
from openclick_sidecar.status.access import read_login, refusal

LOGIN = "admin:dürfen:alle"
LOCAL = {"host": "localhost:8026"}


def basic(login: str) -> dict[str, str]:
    """Return the field that a browser sends."""
    return {"authorization": "Basic " + base64.b64encode(login.encode()).decode()}


@pytest.mark.parametrize("host", ["localhost", "localhost:8026", "127.0.0.1:8026", "[::1]:8026"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
def test_without_a_login_this_machine_sees_it(address: str, host: str) -> None:
    """At any loopback address, by a name that only this machine has."""
    assert refusal("", address, "HTTP/1.1", {"host": host}) is None


@pytest.mark.parametrize("address", ["192.0.2.1", "::", "0.0.0.0", "2001:db8::1", "", "/run/x"])
def test_without_a_login_nobody_else_does(address: str) -> None:
    """The setting that would change that is named."""
    refused = refusal("", address, "HTTP/1.1", LOCAL)

    assert refused is not None
    assert refused[0] == 403
    assert "sidecar.status_login_file" in refused[1]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8026", "localhost.evil.example", ""]
)
def test_a_strangers_name_that_leads_here(host: str) -> None:
    """A script of his would be allowed to read what it gets under his own name."""
    refused = refusal("", "127.0.0.1", "HTTP/1.1", {"host": host})

    assert refused is not None
    assert refused[0] == 403


@pytest.mark.parametrize("field", ["x-forwarded-for", "forwarded", "via"])
def test_what_a_proxy_hands_on(field: str) -> None:
    """It comes from loopback and may be the whole internet."""
    refused = refusal("", "127.0.0.1", "HTTP/1.1", {**LOCAL, field: "192.0.2.1"})

    assert refused is not None
    assert refused[0] == 403


def test_a_proxy_that_does_not_say_so() -> None:
    """nginx as it comes names its upstream and no client, but speaks HTTP/1.0; no browser does."""
    refused = refusal("", "127.0.0.1", "HTTP/1.0", {"host": "127.0.0.1:8027"})

    assert refused is not None
    assert refused[0] == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.1"])
def test_with_a_login_everybody_is_asked_for_it(address: str) -> None:
    """This machine too: a proxy in front of it comes from loopback."""
    refused = refusal(LOGIN, address, "HTTP/1.1", LOCAL)

    assert refused is not None
    assert refused[0] == 401


def test_the_right_login() -> None:
    """As UTF-8; whatever the address, name and proxies."""
    fields = {"host": "status.kontor.example", "via": "1.1 proxy", **basic(LOGIN)}

    assert refusal(LOGIN, "192.0.2.1", "HTTP/1.0", fields) is None


@pytest.mark.parametrize(
    "fields",
    [
        basic("admin:dürfen:allé"),
        basic("admin:dürfen:alle "),
        basic("admin"),
        basic(""),
        {"authorization": basic(LOGIN)["authorization"].replace("Basic", "Bearer")},
        {"authorization": "Basic"},
        {"authorization": "Basic §$%"},
        {"authorization": "Basic YQ"},
    ],
)
def test_a_wrong_login(fields: dict[str, str]) -> None:
    """Or none at all, or what is no Basic."""
    refused = refusal(LOGIN, "127.0.0.1", "HTTP/1.1", fields)

    assert refused is not None
    assert refused[0] == 401


def test_a_login_file(tmp_path: Path) -> None:
    """One line; a password may hold colons."""
    file = tmp_path / "login"
    file.write_text(f"{LOGIN}\n", "utf-8")
    file.chmod(0o640)

    assert read_login(str(file)) == LOGIN
    assert read_login("") == ""


@pytest.mark.parametrize(
    ("text", "mode", "fault"),
    [
        (b"admin:x\n", 0o644, "has mode 0644; need 0640 or less"),
        (b"admin\n", 0o640, "need one line USER:PASSWORD, neither of them empty"),
        (b":x\n", 0o640, "need one line USER:PASSWORD, neither of them empty"),
        (b"admin:\n", 0o640, "need one line USER:PASSWORD, neither of them empty"),
        (b"a:x\nb:y\n", 0o640, "need one line USER:PASSWORD, neither of them empty"),
        (b"a:\xff\n", 0o640, "is not UTF-8: need one line USER:PASSWORD"),
    ],
)
def test_a_login_file_at_fault(tmp_path: Path, text: bytes, mode: int, fault: str) -> None:
    """The sidecar does not start, and says what it needs."""
    file = tmp_path / "login"
    file.write_bytes(text)
    file.chmod(mode)

    with pytest.raises(ConfigError) as raised:
        read_login(str(file))

    assert fault in str(raised.value)
    assert str(file) in str(raised.value)


def test_a_login_file_that_is_not_there(tmp_path: Path) -> None:
    """Named with the reason."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_login(str(tmp_path / "login"))
