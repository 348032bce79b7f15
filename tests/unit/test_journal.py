"""The journal: on disk when it says so, one record a line, torn ones passed over."""

import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.journal import Journal, JournalFault, Page, decode, encode, read_page
from unit.journals import a_journal
from unit.samples import a_hit, an_open


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return a journal whose directory is not there yet."""
    return a_journal(tmp_path / "journal")


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_hit_comes_back(destination: str, user_agent: str, headers: dict[str, str]) -> None:
    """NUL, line ends, quotes, emoji: a stranger's text breaks no line."""
    hit = a_hit(7, destination=destination, user_agent=user_agent, headers=headers)

    written = encode(hit)

    assert hit == decode(written)
    assert 1 == written.count(b"\n")


@given(st.integers(0, 600), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    """The checksum covers all that counts; a hit is whole or there is none."""
    written = bytearray(encode(a_hit(7)))
    written[place % len(written)] ^= change

    assert decode(bytes(written)) in (None, a_hit(7))


@pytest.mark.parametrize(
    "text_line",
    [b"", b"\n", b"zz {}\n", b"00000000\n", b"a3c95b5e []\n", b"\0" * 80 + b"\n", b"\xff\xfe\n"],
)
def test_what_is_no_record(text_line: bytes) -> None:
    """None, not an error: what a power cut leaves may be anything."""
    assert decode(text_line) is None


def test_hits_come_back_in_order(journal: Journal) -> None:
    """Several batches of one process stand in one file."""
    journal.append([a_hit(1), an_open(2)])
    journal.append([a_hit(3)])
    journal.close_file()

    [path] = journal.files()

    size = path.stat().st_size
    assert Page([a_hit(1), an_open(2), a_hit(3)], 0, size, last=True) == read_page(path, 0, 10)


def test_reading_in_pieces(journal: Journal) -> None:
    """From an offset on, at most so many."""
    journal.append([a_hit(number) for number in range(5)])
    journal.close_file()
    [path] = journal.files()

    first = read_page(path, 0, 3)
    assert first is not None
    second = read_page(path, first.end, 3)
    assert second is not None

    assert ([a_hit(0), a_hit(1), a_hit(2)], False) == (first.hits, first.last)
    assert ([a_hit(3), a_hit(4)], True) == (second.hits, second.last)


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_torn_last_record_is_passed_over(journal: Journal, kept: int) -> None:
    """Its hit was never answered; nothing is lost, and nothing is said to be."""
    journal.append([a_hit(1)])
    journal.close_file()
    [path] = journal.files()
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes() + encode(a_hit(2))[:kept])

    assert Page([a_hit(1)], 0, whole, last=True) == read_page(path, 0, 10)


def test_a_torn_record_does_not_run_into_later_ones(tmp_path: Path) -> None:
    """Each process begins a file of its own."""
    first = a_journal(tmp_path)
    first.append([a_hit(1)])
    first.close_file()
    [torn] = first.files()
    torn.write_bytes(torn.read_bytes()[:-5])

    after = a_journal(tmp_path)
    after.append([a_hit(2)])
    after.close_file()

    pages = [read_page(path, 0, 10) for path in after.files()]
    assert [[], [a_hit(2)]] == sorted((page.hits for page in pages if page), key=len)


def test_damage_in_the_middle_costs_its_own_hit(journal: Journal) -> None:
    """The lines around it are read; the damage is counted."""
    journal.append([a_hit(1), a_hit(2), a_hit(3)])
    journal.close_file()
    [path] = journal.files()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"kontor", b"kantor") + lines[2])

    page = read_page(path, 0, 10)

    assert page is not None
    assert ([a_hit(1), a_hit(3)], 1) == (page.hits, page.unreadable)


def test_a_file_that_is_written_is_nobody_elses(journal: Journal) -> None:
    """Locked until its process ends it, or dies."""
    journal.append([a_hit(1)])
    [path] = journal.files()

    while_written = read_page(path, 0, 10)
    journal.close_file()

    assert while_written is None
    assert read_page(path, 0, 10) is not None


def test_two_processes_have_two_files(tmp_path: Path) -> None:
    """Begun in the same microsecond even."""
    for number in (1, 2):
        a_journal(tmp_path).append([a_hit(number)])

    assert 2 == len(a_journal(tmp_path).files())


def test_a_deleted_file_is_noticed(journal: Journal) -> None:
    """What is written into a file without a name nobody will find; it is written again."""
    journal.append([a_hit(1)])
    for path in journal.files():
        path.unlink()

    journal.append([a_hit(2)])
    journal.close_file()

    [path] = journal.files()
    page = read_page(path, 0, 10)
    assert page is not None
    assert [a_hit(2)] == page.hits


def test_rights(journal: Journal) -> None:
    """The directory as the store's, the files readable by the group: they hold addresses."""
    mask = os.umask(0o007)
    journal.append([a_hit(1)])
    os.umask(mask)

    assert 0o42770 == journal.directory.stat().st_mode
    assert [0o100640] == [path.stat().st_mode for path in journal.files()]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A fault that names the directory and the reason."""
    (tmp_path / "journal").write_text("in the way")

    with pytest.raises(JournalFault, match="journal: File exists"):
        a_journal(tmp_path / "journal").append([a_hit()])


def test_the_reserve_is_left(tmp_path: Path) -> None:
    """On a file system that is nearly full nothing is written."""
    journal = a_journal(tmp_path / "journal", reserve_bytes=10**18)

    with pytest.raises(JournalFault, match="fewer than 1000000000000000000 bytes are free"):
        journal.append([a_hit()])

    assert [] == journal.files()


def test_half_a_record_is_taken_back(journal: Journal) -> None:
    """A write that fails in the middle (a limit on the file's size) leaves what was whole."""
    journal.append([a_hit(1)])
    [path] = journal.files()
    whole = path.stat().st_size
    import resource  # noqa: PLC0415 - of this test alone
    import signal  # noqa: PLC0415

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 10, limits[1]))
    try:
        with pytest.raises(JournalFault, match="File too large"):
            journal.append([a_hit(2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    journal.append([a_hit(3)])
    journal.close_file()

    pages = [read_page(path, 0, 10) for path in journal.files()]
    assert [[a_hit(1)], [a_hit(3)]] == sorted((p.hits for p in pages if p), key=str)
    assert whole == path.stat().st_size


def test_a_lock_ends_with_its_process(journal: Journal) -> None:
    """flock, not a file that a crash would leave: a closed descriptor frees it."""
    journal.append([a_hit(1)])
    [path] = journal.files()
    journal.close_file()

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_field_of_a_later_version_is_passed_over(journal: Journal) -> None:
    """A journal outlives a downgrade."""
    import json  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    record = json.loads(encode(a_hit(1)).partition(b" ")[2]) | {"mood": "good"}
    text = json.dumps(record).encode()

    assert a_hit(1) == decode(b"%08x %s\n" % (zlib.crc32(text), text))
