"""The key directory: what is read, what is refused, and how a key is added."""

import base64
import os
import threading
from pathlib import Path

import pytest

from openclick.keys import KeyDirectory, KeyFault, find_keys, load_keys, rotate_keys
from openclick.tokens import KEY_BYTES, Kind, Token
from support.clock import Clock
from unit.samples import COPY, EMAIL_ID, TRACKING_DOMAIN, key

OPEN = Token(EMAIL_ID, COPY)


def put(directory: Path, name: str, content: bytes) -> None:
    """Write a file of the key directory."""
    (directory / name).write_bytes(content)


def a_key(number: int) -> bytes:
    """Return the content of a key's file."""
    return base64.b64encode(key(number)) + b"\n"


def test_first_key_is_number_0(tmp_path: Path) -> None:
    """Its file names id and format, and holds 64 bytes in base64, one line."""
    path = rotate_keys(str(tmp_path), lambda size: bytes(range(size)))

    assert tmp_path / "000.v1.key" == path
    assert base64.b64encode(bytes(range(KEY_BYTES))) + b"\n" == path.read_bytes()


def test_rotation_adds_and_keeps(tmp_path: Path) -> None:
    """The new key seals, the old ones still open."""
    for _ in range(3):
        rotate_keys(str(tmp_path))

    ring = load_keys(str(tmp_path))

    assert (0, 1, 2) == ring.key_ids
    assert ring.sealing_id == 2


def test_two_rotations_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One makes the key, the other is refused and leaves nothing: a key's file never changes."""
    made: list[tuple[Path, bytes]] = []
    fchown = os.fchown

    def meanwhile(*arguments: int) -> None:
        monkeypatch.setattr(os, "fchown", fchown)
        path = rotate_keys(str(tmp_path))
        made.append((path, path.read_bytes()))
        fchown(*arguments)

    monkeypatch.setattr(os, "fchown", meanwhile)

    with pytest.raises(KeyFault, match=r"000\.v1\.key: cannot be written: File exists"):
        rotate_keys(str(tmp_path))

    assert [(path, path.read_bytes()) for path in tmp_path.iterdir()] == made


def test_key_file_is_for_owner_and_group_whatever_the_umask(tmp_path: Path) -> None:
    """0640: both daemons read by the group, nobody else does."""
    before = os.umask(0o000)
    try:
        loose = rotate_keys(str(tmp_path))
        os.umask(0o777)
        tight = rotate_keys(str(tmp_path))
    finally:
        os.umask(before)

    assert [0o100640] * 2 == [loose.stat().st_mode, tight.stat().st_mode]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory to any group")
def test_key_file_takes_the_directorys_group(tmp_path: Path) -> None:
    """The admin rotates as root; the daemons must be able to read what he made."""
    os.chown(tmp_path, -1, 61_999)

    assert rotate_keys(str(tmp_path)).stat().st_gid == 61_999


def test_rotation_leaves_nothing_else_behind(tmp_path: Path) -> None:
    """The file appears whole, at once, and alone."""
    rotate_keys(str(tmp_path))

    assert ["000.v1.key"] == os.listdir(tmp_path)


def test_rotation_ignores_a_half_written_file(tmp_path: Path) -> None:
    """A rotation that was killed does not block the next one."""
    put(tmp_path, "000.v1.new", b"half")

    rotate_keys(str(tmp_path))

    assert (0,) == load_keys(str(tmp_path)).key_ids


def test_a_gap_is_never_filled(tmp_path: Path) -> None:
    """A key id is never used twice, so that an old token cannot meet a new key."""
    put(tmp_path, "007.v1.key", a_key(7))

    assert "008.v1.key" == rotate_keys(str(tmp_path)).name


def test_rotation_refuses_after_255(tmp_path: Path) -> None:
    """The key id is one byte."""
    put(tmp_path, "255.v1.key", a_key(1))

    with pytest.raises(KeyFault, match="key 255 exists; no further key can be made"):
        rotate_keys(str(tmp_path))


def test_rotation_in_a_missing_directory(tmp_path: Path) -> None:
    """The directory and the reason are named."""
    path = str(tmp_path / "none")

    with pytest.raises(KeyFault, match=f"{path}: cannot be listed: No such file or directory"):
        rotate_keys(path)


def test_rotation_that_cannot_write() -> None:
    """The file and the reason are named; in /proc not even root makes one."""
    with pytest.raises(KeyFault, match=r"/proc/self/000\.v1\.key: cannot be written: No such file"):
        rotate_keys("/proc/self")


def test_no_key(tmp_path: Path) -> None:
    """The error says what to do."""
    with pytest.raises(KeyFault, match="holds no key; need one, made by: openclick keys rotate"):
        load_keys(str(tmp_path))


BAD_KEYS = [
    (b"", "holds 0 bytes: need 64"),
    (a_key(1)[:40] + b"\n", "holds 30 bytes: need 64"),
    (b"not base64!", "is not base64: need 64 bytes in base64"),
    (b"\xff\xfe", "is not base64: need 64 bytes in base64"),
]


@pytest.mark.parametrize(("content", "text"), BAD_KEYS)
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_one_bad_key_costs_the_others_no_link(
    tmp_path: Path, bad: int, content: bytes, text: str
) -> None:
    """A link works as long as its own key exists (DESIGN 1.3); the bad file is named."""
    for number in range(3):
        put(tmp_path, f"{number:03d}.v1.key", content if number == bad else a_key(number))

    found = find_keys(str(tmp_path))

    assert found.ring.key_ids == tuple(number for number in range(3) if number != bad)
    assert found.faults == (f"{tmp_path}/{bad:03d}.v1.key: {text}",)


@pytest.mark.parametrize(("bad", "seals"), [(0, False), (1, True), (2, False)])
def test_sealing_needs_the_newest_and_the_oldest_key(tmp_path: Path, bad: int, seals: bool) -> None:
    """An older key in the newest's place would undo a rotation; ids derive from the oldest."""
    for number in range(3):
        put(tmp_path, f"{number:03d}.v1.key", b"" if number == bad else a_key(number))
    keys = KeyDirectory(str(tmp_path), Clock().monotonic)

    keys.ring()

    assert keys.may_seal() is seals
    if seals:
        assert load_keys(str(tmp_path)).sealing_id == keys.sealing_ring().sealing_id == 2
    else:
        for refused in (keys.sealing_ring, lambda: load_keys(str(tmp_path))):
            with pytest.raises(KeyFault, match=f"00{bad}.v1.key: holds 0 bytes"):
                refused()


def test_file_beyond_the_last_key_id_is_no_key(tmp_path: Path) -> None:
    """It is named, and hinders neither opening nor sealing nor rotation."""
    put(tmp_path, "000.v1.key", a_key(0))
    put(tmp_path, "256.v1.key", a_key(1))

    found = find_keys(str(tmp_path))

    assert found.faults == (f"{tmp_path}/256.v1.key: key ids end at 255",)
    assert (0,) == load_keys(str(tmp_path)).key_ids
    assert "001.v1.key" == rotate_keys(str(tmp_path)).name


def test_unreadable_key_is_named(tmp_path: Path) -> None:
    """With the system's reason (here: a directory, since root reads every file)."""
    (tmp_path / "000.v1.key").mkdir()

    with pytest.raises(KeyFault, match=r"000\.v1\.key: cannot be read: Is a directory"):
        load_keys(str(tmp_path))


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    """A back-up copy or an editor's file is no key."""
    put(tmp_path, "000.v1.key", a_key(0))
    for name in ("001.v1.key~", "1.v1.key", "002.v2.key", "README", ".003.v1.key", "0004.v1.key"):
        put(tmp_path, name, b"?")

    assert (0,) == load_keys(str(tmp_path)).key_ids


def test_directory_is_read_once(tmp_path: Path) -> None:
    """Sealing and opening ask no disk."""
    rotate_keys(str(tmp_path))
    keys = KeyDirectory(str(tmp_path), Clock().monotonic)
    first = keys.ring()
    rotate_keys(str(tmp_path))

    assert first is keys.ring()


def test_directory_is_read_again_when_asked(tmp_path: Path) -> None:
    """An unknown key id may be one that was added meanwhile."""
    clock = Clock()
    rotate_keys(str(tmp_path))
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    keys.ring()
    rotate_keys(str(tmp_path))
    clock.advance(1.0)

    assert (0, 1) == keys.reread().key_ids
    assert (0, 1) == keys.ring().key_ids


def test_directory_is_read_at_most_once_a_second(tmp_path: Path) -> None:
    """A stranger who invents key ids cannot keep the disk busy."""
    clock = Clock()
    rotate_keys(str(tmp_path))
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    first = keys.ring()
    rotate_keys(str(tmp_path))
    clock.advance(0.999)

    assert first is keys.reread()


def test_keys_held_survive_a_fault(tmp_path: Path) -> None:
    """Links outlive a directory that cannot be read for a while (DESIGN 1.3)."""
    clock = Clock()
    path = rotate_keys(str(tmp_path))
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    first = keys.ring()
    path.unlink()
    clock.advance(5)

    with pytest.raises(KeyFault):
        keys.reread()

    assert first is keys.ring()


def test_key_held_opens_although_its_file_is_cut_short(tmp_path: Path) -> None:
    """What is in memory is not given away for a look at a damaged file; but nothing is sealed."""
    clock = Clock()
    path = rotate_keys(str(tmp_path))
    rotate_keys(str(tmp_path))
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    text = keys.ring().seal(Kind.OPEN, TRACKING_DOMAIN, OPEN)
    path.with_name("001.v1.key").write_bytes(b"\n")
    clock.advance(1)

    keys.reread()

    assert keys.ring().open(Kind.OPEN, TRACKING_DOMAIN, text) == OPEN
    with pytest.raises(KeyFault, match=r"001\.v1\.key: holds 0 bytes"):
        keys.sealing_ring()


def test_sealing_key_held_seals_beside_a_newer_one_that_is_unreadable(tmp_path: Path) -> None:
    """A rotation that went wrong stops no tracking: the key that has sealed so far is on disk."""
    clock = Clock()
    rotate_keys(str(tmp_path))
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    keys.ring()
    put(tmp_path, "001.v1.key", b"")
    clock.advance(1)

    keys.reread()

    assert keys.sealing_ring().sealing_id == 0


def test_mended_key_is_found_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is named once, counted, and looked at again each second while sealing waits."""
    clock, damaged = Clock(), tmp_path / "001.v1.key"
    put(tmp_path, "000.v1.key", a_key(0))
    damaged.write_bytes(b"")
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    for _ in range(3):
        clock.advance(1)
        with pytest.raises(KeyFault):
            keys.sealing_ring()
    assert 1 == keys.unreadable()
    damaged.write_bytes(a_key(1))
    clock.advance(1)
    caplog.set_level("INFO")

    assert 1 == keys.sealing_ring().sealing_id

    assert 0 == keys.unreadable()
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"keys: {damaged}: holds 0 bytes: need 64; passed over: the other keys open as before",
        "keys: every key can be read again",
    ]


def test_mended_key_is_counted_no_more(tmp_path: Path) -> None:
    """An alert ends although nobody has come with a link of that key."""
    clock, damaged = Clock(), tmp_path / "000.v1.key"
    damaged.write_bytes(b"")
    put(tmp_path, "001.v1.key", a_key(1))
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    keys.ring()
    before = keys.unreadable()
    damaged.write_bytes(a_key(0))
    clock.advance(1)

    assert (1, 0) == (before, keys.unreadable())


def test_missing_keys_are_looked_for_again(tmp_path: Path) -> None:
    """A daemon that was started before `openclick init` needs no restart."""
    clock = Clock()
    keys = KeyDirectory(str(tmp_path), clock.monotonic)
    with pytest.raises(KeyFault, match="holds no key"):
        keys.ring()
    rotate_keys(str(tmp_path))
    with pytest.raises(KeyFault, match="holds no key"):  # within the second: what was found then
        keys.ring()
    clock.advance(1)

    assert (0,) == keys.ring().key_ids


def test_threads_share_a_directory(tmp_path: Path) -> None:
    """libmilter's threads all seal with the same ring."""
    rotate_keys(str(tmp_path))
    keys = KeyDirectory(str(tmp_path), Clock().monotonic)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(keys.ring())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert 8 == len(found)
    assert 1 == len({id(ring) for ring in found})
