"""ACME without a CA: what is missing, and what the clock says. With a CA: tests/functional."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from openclick.instants import SECOND, now
from openclick.tls_settings import AcmeSettings
from openclick_sidecar.acme_client import AcmeClient, AcmeFault, Exchange, _refused
from openclick_sidecar.challenges import Challenges

NAME = "track.kontor.example"
DATE = "Fri, 27 Nov 2026 07:00:00 GMT"
DATE_AT = 1_795_762_800 * SECOND
DAY = 86_400 * SECOND


def client(directory: Path, url: str = "https://[::1]:1/dir", at: int | None = None) -> AcmeClient:
    """Return a client of a CA that is not there; nothing is dialled where a test does not ask."""
    settings = AcmeSettings(directory_url=url)
    clock = now() if at is None else at
    return AcmeClient(settings, directory / "accounts", Challenges(directory), lambda: clock)


def test_the_library_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian only recommends it: the state says which package is needed."""
    monkeypatch.setitem(sys.modules, "acme", None)

    with pytest.raises(AcmeFault, match="python3-acme") as caught:
        client(tmp_path).obtain(NAME)

    assert ("acme_library_missing", True) == (caught.value.code, caught.value.concerns_all)


@pytest.mark.parametrize(
    ("days", "says"),
    [(400, "400 days ahead of"), (-400, "400 days behind"), (2, "2 days ahead of")],
)
def test_a_clock_that_is_off(tmp_path: Path, days: int, says: str) -> None:
    """Nothing is ordered: with 400 days off, whatever a CA gives would look expired."""
    with pytest.raises(AcmeFault, match=says) as caught:
        client(tmp_path, at=DATE_AT + days * DAY)._compare_clocks(DATE)

    assert ("clock_off", True) == (caught.value.code, caught.value.concerns_all)


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Nov 2026 07:00:00 GMT"])
def test_a_ca_without_a_usable_date(tmp_path: Path, date: str) -> None:
    """Says nothing about the clock."""
    client(tmp_path, at=DATE_AT + 400 * DAY)._compare_clocks(date)


def test_a_clock_that_is_right(tmp_path: Path) -> None:
    """Hours off are the time zone of somebody's BIOS, and harm nothing here."""
    client(tmp_path, at=DATE_AT + DAY // 2)._compare_clocks(DATE)


def test_the_account_key_is_made_once_a_directory(tmp_path: Path) -> None:
    """Another CA gets another one: an account is nothing that CAs should compare."""
    first, other = client(tmp_path), client(tmp_path, "https://other.example/dir")

    keys = [first._account_key(), first._account_key(), other._account_key()]

    assert keys[0] == keys[1] != keys[2]
    assert {0o600} == {path.stat().st_mode & 0o777 for path in (tmp_path / "accounts").iterdir()}
    assert 0o700 == (tmp_path / "accounts").stat().st_mode & 0o777


def test_a_directory_that_refuses(tmp_path: Path) -> None:
    """Is told with its URL, and concerns all names."""
    pytest.importorskip("acme", reason="the library is optional: Debian's python3-acme")

    with pytest.raises(AcmeFault, match=r"https://127\.0\.0\.1:1/dir") as caught:
        client(tmp_path, "https://127.0.0.1:1/dir").obtain(NAME)

    assert ("acme_unreachable", True) == (caught.value.code, caught.value.concerns_all)


def test_an_external_account_without_its_key(tmp_path: Path) -> None:
    """Is told by the settings' names, before the CA is."""
    settings = AcmeSettings(directory_url="https://ca.example/dir", eab_key_id="kid-1")
    made = AcmeClient(settings, tmp_path, Challenges(tmp_path), now)
    directory = SimpleNamespace(meta=SimpleNamespace(terms_of_service=None))

    with pytest.raises(AcmeFault, match=r"acme\.eab_hmac_file"):
        made._registration(None, directory, None)


def test_a_directory_without_meta(tmp_path: Path) -> None:
    """RFC 8555, 7.1.1: it is optional, and then there are no terms to agree to."""
    pytest.importorskip("acme", reason="the library is optional: Debian's python3-acme")
    from acme import messages  # noqa: PLC0415 - optional

    directory = messages.Directory({"newAccount": "https://ca.example/new"})

    registration = client(tmp_path)._registration(messages, directory, None)

    assert registration.external_account_binding is None


@pytest.mark.parametrize("content", [b"abcde", b"\xff\xfe"])
def test_an_external_account_with_a_broken_key(tmp_path: Path, content: bytes) -> None:
    """Is told by its file's name, and not as a CA that cannot be reached."""
    pytest.importorskip("acme", reason="the library is optional: Debian's python3-acme")
    import josepy  # noqa: PLC0415 - optional
    from acme import messages  # noqa: PLC0415 - optional

    file = tmp_path / "hmac"
    file.write_bytes(content)
    settings = AcmeSettings("https://ca.example/dir", eab_key_id="k", eab_hmac_file=str(file))
    made = AcmeClient(settings, tmp_path / "accounts", Challenges(tmp_path), now)
    directory = messages.Directory({"newAccount": "https://ca.example/new"})

    with pytest.raises(AcmeFault, match=str(file)) as caught:
        made._registration(messages, directory, josepy.JWK.load(made._account_key()))

    assert ("acme_files", True) == (caught.value.code, caught.value.concerns_all)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_an_account_key_that_a_crash_has_cut(tmp_path: Path, share: float) -> None:
    """Is named with its file: as the secret it is not, no CA would ever take it."""
    pytest.importorskip("acme", reason="the library is optional: Debian's python3-acme")
    ours = client(tmp_path)
    whole = ours._account_key()
    (file,) = (tmp_path / "accounts").iterdir()
    file.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(AcmeFault, match=str(file)) as caught:
        ours.obtain(NAME)

    assert ("acme_files", True) == (caught.value.code, caught.value.concerns_all)


def test_a_kill_while_the_account_key_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves no half of a key in its place; the next one is whole."""
    ours = client(tmp_path)

    def killed(*_paths: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            ours._account_key()

    left = list((tmp_path / "accounts").iterdir())
    assert [] == left
    assert ours._account_key() == ours._account_key()


@pytest.mark.parametrize(
    ("kind", "code", "concerns_all"),
    [
        ("badNonce", "acme_unreachable", True),
        ("serverInternal", "acme_unreachable", True),
        ("rateLimited", "acme_rate_limited", False),
        ("rejectedIdentifier", "acme_refused", False),
    ],
)
def test_whose_fault_a_refusal_is(kind: str, code: str, *, concerns_all: bool) -> None:
    """A nonce refused twice, or a CA's own trouble, is not held against the name; its limit is."""
    fault = refused(kind, Exchange(status=429, has_account=True))

    assert (code, concerns_all) == (fault.code, fault.concerns_all)


@pytest.mark.parametrize(
    "exchange",
    [Exchange(status=429, has_account=False), Exchange(status=503, has_account=True)],
    ids=["no account", "service busy"],
)
def test_a_limit_that_is_no_names_own(exchange: Exchange) -> None:
    """A CA that gives no account, or sheds load, has said nothing of a name yet."""
    assert refused("rateLimited", exchange).concerns_all


@pytest.mark.parametrize("kind", ["externalAccountRequired", "unauthorized", "invalidContact"])
def test_a_refusal_of_the_account(kind: str) -> None:
    """Is no name's own: once it is mended, none waits for what the others have met."""
    fault = refused(kind, Exchange(status=403, has_account=False))

    assert ("acme_refused", True) == (fault.code, fault.concerns_all)


@pytest.mark.parametrize(
    ("field", "seconds"), [("7200", 7200.0), ("", None), ("Fri, 27 Nov 2026 09:00:00 GMT", 7200.0)]
)
def test_what_a_ca_asks_to_wait(field: str, seconds: float | None) -> None:
    """RFC 8555, 6.6: a limit comes with Retry-After."""
    exchange = Exchange(has_account=True)
    headers = {"Retry-After": field} if field else {}

    exchange.hear(SimpleNamespace(status_code=429, headers=headers))

    assert seconds == refused("rateLimited", exchange).retry_after_seconds


def refused(kind: str, exchange: Exchange) -> AcmeFault:
    """Return the fault that a problem of this kind is, two hours before nine."""
    problem = SimpleNamespace(detail="no", typ=f"urn:ietf:params:acme:error:{kind}")
    return _refused(problem, exchange, DATE_AT)
