"""The certificate directory: read when asked for, read again when changed, kept over faults."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclick.instants import SECOND, Instant
from openclick_sidecar.certificate_shelf import CertificateShelf
from support.authority import Authority, Issued, replace

NAME = "track.kontor.example"
DAY = 86_400 * SECOND


class Shelf(CertificateShelf):
    """A shelf whose clock a test moves."""

    def __init__(self, directory: Path) -> None:
        self.days_off = 0
        super().__init__(directory, self._clock)

    def _clock(self) -> Instant:
        return int(datetime.now(UTC).timestamp()) * SECOND + self.days_off * DAY


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Give a shelf on an empty directory."""
    return Shelf(tmp_path)


def served(shelf: CertificateShelf, name: str = NAME) -> object:
    """Return the number of the certificate that is served, None for none."""
    slot = shelf.find(name)
    return slot and slot.certificate and slot.certificate.leaf.serial_number


def fault(shelf: CertificateShelf) -> str:
    """Return what is wrong with the file."""
    slot = shelf.find(NAME)
    assert slot is not None
    return slot.fault


def test_a_name_without_a_file(shelf: Shelf) -> None:
    """Is unknown, and leaves nothing behind."""
    assert shelf.find(NAME) is None
    assert not shelf.serves(NAME)
    assert shelf._slots == {}


def test_a_file_is_served_once_it_is_there(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """Without a restart."""
    assert not shelf.serves(NAME)

    ca.put(tmp_path, NAME)

    assert shelf.serves(NAME)


def test_a_new_file_is_taken(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """From the next question on."""
    ca.put(tmp_path, NAME)
    before = served(shelf)

    ca.put(tmp_path, NAME)

    assert before != served(shelf)
    assert shelf.find(NAME) is shelf.find(NAME)


def test_a_file_that_stays_is_read_once(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """The same object comes back, so that its context can be kept."""
    ca.put(tmp_path, NAME)
    first = shelf.find(NAME)

    second = shelf.find(NAME)

    assert first is not None
    assert second is not None
    assert first.certificate is second.certificate


def halves(good: Issued, other: Issued) -> dict[str, bytes]:
    """Return what a file may hold when something went wrong."""
    return {
        "half-written": other.bundle[: len(other.bundle) - 100],
        "empty": b"",
        "mismatching key": other.chain + good.key,
        "chain alone": other.chain,
    }


@pytest.mark.parametrize("case", ["half-written", "empty", "mismatching key", "chain alone"])
def test_a_bad_file_changes_nothing(
    shelf: Shelf, ca: Authority, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was read before is served on; one line says why; the next good file is taken."""
    caplog.set_level(logging.INFO)
    good = ca.put(tmp_path, NAME)
    before = served(shelf)
    replace(tmp_path / f"{NAME}.pem", halves(good, ca.issue(NAME))[case])

    during = [served(shelf) for _ in range(3)]

    assert [before] * 3 == during
    assert fault(shelf)
    assert 1 == caplog.text.count("the one read before is served on")
    ca.put(tmp_path, NAME)
    assert served(shelf) not in (before, None)
    assert not fault(shelf)


@pytest.mark.parametrize("case", ["half-written", "empty", "mismatching key", "chain alone"])
def test_a_first_file_that_is_bad(
    shelf: Shelf, ca: Authority, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing can be served for the name, and the log says so once."""
    replace(tmp_path / f"{NAME}.pem", halves(ca.issue(NAME), ca.issue(NAME))[case])

    assert [None] * 3 == [served(shelf) for _ in range(3)]
    assert not shelf.serves(NAME)
    assert 1 == caplog.text.count("nothing is served")


def test_a_file_that_goes(
    shelf: Shelf, ca: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sent links live on: what is in memory is served until the end of the process."""
    ca.put(tmp_path, NAME)
    before = served(shelf)

    (tmp_path / f"{NAME}.pem").unlink()

    assert before == served(shelf) == served(shelf)
    assert shelf.serves(NAME)
    assert 1 == caplog.text.count("cannot be read: No such file or directory")


def test_a_file_that_may_not_be_read(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory in its place fails for root too."""
    (tmp_path / f"{NAME}.pem").mkdir()

    assert served(shelf) is None
    assert "cannot be read: Is a directory" in fault(shelf)


def test_an_expired_certificate_is_served_but_is_none(
    shelf: Shelf, ca: Authority, tmp_path: Path
) -> None:
    """A reader may click past the browser's warning; new links must not count on it."""
    ca.put(tmp_path, NAME, starts_in_days=-100, days=90)

    assert served(shelf)
    assert not shelf.serves(NAME)


def test_an_expired_certificate_replaces_no_valid_one(
    shelf: Shelf, ca: Authority, tmp_path: Path
) -> None:
    """An old back-up that was put back, for example."""
    ca.put(tmp_path, NAME)
    before = served(shelf)

    ca.put(tmp_path, NAME, starts_in_days=-100, days=90)

    assert before == served(shelf)
    assert "has expired" in fault(shelf)
    assert shelf.serves(NAME)


def test_a_clock_that_is_400_days_ahead(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """Everything seems expired: nothing new counts on it, what is sent is served on."""
    ca.put(tmp_path, NAME)
    before = served(shelf)

    shelf.days_off = 400
    ahead = served(shelf), shelf.serves(NAME)
    shelf.days_off = 0

    assert (before, False) == ahead
    assert shelf.serves(NAME)


def test_a_renewal_while_the_clock_is_ahead(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """Where both seem expired, the newer file is taken."""
    ca.put(tmp_path, NAME)
    before = served(shelf)
    shelf.days_off = 400

    ca.put(tmp_path, NAME)

    assert served(shelf) not in (before, None)


def test_a_clock_that_is_400_days_behind(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """No CA gives certificates of the future: it is the clock, and browsers have their own."""
    shelf.days_off = -400

    ca.put(tmp_path, NAME)

    assert served(shelf)
    assert shelf.serves(NAME)


def test_a_wildcard_file(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """Serves every name right below; a file of the name's own comes first."""
    wild = ca.issue("*.kontor.example")
    replace(tmp_path / "*.kontor.example.pem", wild.bundle)
    names = (NAME, "links.kontor.example", "a.b.kontor.example", "kontor.example")

    before = [bool(served(shelf, name)) for name in names]
    ca.put(tmp_path, NAME)

    assert [True, True, False, False] == before
    assert served(shelf) != served(shelf, "links.kontor.example")


@pytest.mark.parametrize("first", [NAME, "stranger.kontor.example"])
def test_a_wildcard_file_for_one_name(
    shelf: Shelf, ca: Authority, tmp_path: Path, first: str
) -> None:
    """Is none, whoever asks first: else strangers would decide what it is good for."""
    replace(tmp_path / "*.kontor.example.pem", ca.issue(NAME).bundle)
    shelf.find(first)

    names = [NAME, "links.kontor.example"]

    assert [False, False] == [bool(served(shelf, name)) for name in names]
    assert "need *.kontor.example" in fault(shelf)


def test_a_bad_file_beside_a_wildcard(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """The wildcard helps out."""
    replace(tmp_path / "*.kontor.example.pem", ca.issue("*.kontor.example").bundle)
    replace(tmp_path / f"{NAME}.pem", b"")

    assert shelf.serves(NAME)


def test_an_expired_file_beside_a_wildcard(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """Hides no valid one; the name's own is served again once it is valid."""
    replace(tmp_path / "*.kontor.example.pem", ca.issue("*.kontor.example").bundle)
    ca.put(tmp_path, NAME, starts_in_days=-100, days=90)

    expired = served(shelf), shelf.serves(NAME)
    ca.put(tmp_path, NAME)

    wild = served(shelf, "links.kontor.example")
    assert (wild, True) == expired
    assert served(shelf) not in (wild, None)


def test_both_have_expired(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """Then the name's own is served."""
    expired = ca.issue("*.kontor.example", starts_in_days=-100, days=90)
    replace(tmp_path / "*.kontor.example.pem", expired.bundle)
    ca.put(tmp_path, NAME, starts_in_days=-100, days=90)

    assert served(shelf) != served(shelf, "links.kontor.example")
    assert not shelf.serves(NAME)


def test_a_file_that_goes_beside_a_wildcard(shelf: Shelf, ca: Authority, tmp_path: Path) -> None:
    """The wildcard's file is there, and so it is what is meant."""
    replace(tmp_path / "*.kontor.example.pem", ca.issue("*.kontor.example").bundle)
    ca.put(tmp_path, NAME)
    before = served(shelf)

    (tmp_path / f"{NAME}.pem").unlink()

    assert before != served(shelf) == served(shelf, "links.kontor.example")


@pytest.mark.parametrize(
    "name",
    [
        *("../secret", "a/b.example", "", ".", "..", "x", "a..b", "a.example\x00", "-a.example"),
        *("a" * 64 + ".example", "a." * 130 + "example", "*.kontor.example", "ä.example"),
    ],
)
def test_names_that_are_none(shelf: Shelf, tmp_path: Path, name: str) -> None:
    """Nothing outside of the directory is ever looked at."""
    assert shelf.find(name) is None
    assert os.listdir(tmp_path) == []
