"""`openclick store backup`: a back-up while everything is used."""

import os
import shutil
from contextlib import closing
from pathlib import Path

from openclick.store import open_store
from openclick_admin.main import EX_UNAVAILABLE
from unit.admin.command_line import CommandLine
from unit.admin.store.used_store import FILES, journal
from unit.samples import a_domain, a_hit, a_message


def test_a_back_up_while_everything_is_open(openclick: CommandLine, tmp_path: Path) -> None:
    """What was committed is in it, also what stands in the write-ahead logs alone."""
    target = tmp_path / "back-up"
    with (
        closing(openclick.store.registry(owner=True)) as registry,
        closing(openclick.store.message_log()) as messages,
        closing(openclick.store.hit_log()) as hits,
    ):
        registry.domains.add(a_domain(domain_id="2", name="other.example"))
        messages.record([a_message(copy=b"more")])
        hits.append([a_hit(3)])

        done = openclick("store", "backup", str(target))

    copy = open_store(f"sqlite:{target}")
    assert 0 == done.status, done.err
    assert {*FILES, "keys"} == set(os.listdir(target))
    with closing(copy.registry_reader()) as reader:
        assert reader.domains.maybe_domain("other.example") is not None
    with closing(copy.message_reader()) as message_reader:
        assert message_reader.maybe_message(a_message().email_id, b"more") is not None
    with closing(copy.hit_reader()) as hit_reader:
        assert [a_hit(1), a_hit(2), a_hit(3)] == [
            hit for _, hit in hit_reader.many_after(0, 10, 10)
        ]


def test_keys_are_in_the_back_up(openclick: CommandLine, tmp_path: Path) -> None:
    """Without them no link of the past would lead anywhere."""
    openclick("store", "backup", str(tmp_path / "back-up"))

    names = [path.name for path in (tmp_path / "back-up" / "keys").iterdir()]
    assert ["000.v1.key"] == names
    assert (openclick.keys / names[0]).read_bytes() == (
        tmp_path / "back-up" / "keys" / names[0]
    ).read_bytes()


def test_what_waits_in_the_journal_is_in_the_back_up(
    openclick: CommandLine, tmp_path: Path
) -> None:
    """A hit that was answered is in one of the files, whenever the back-up is taken."""
    waiting = journal(openclick)
    waiting.append([a_hit(3)])
    [path] = waiting.files()

    openclick("store", "backup", str(tmp_path / "back-up"))

    assert path.read_bytes() == (tmp_path / "back-up" / "journal" / path.name).read_bytes()


def test_rights_are_kept(openclick: CommandLine, tmp_path: Path) -> None:
    """Nobody else may read a copy, and put back it is used as it is."""
    openclick("store", "backup", str(tmp_path / "back-up"))

    modes = {
        path.relative_to(tmp_path / "back-up").as_posix(): path.stat().st_mode & 0o7777
        for path in (tmp_path / "back-up").rglob("*")
    }
    assert dict.fromkeys(FILES, 432) | {"keys": 0o700, "keys/000.v1.key": 0o640} == modes
    assert 0o700 == (tmp_path / "back-up").stat().st_mode & 0o7777


def test_a_directory_that_is_not_empty(openclick: CommandLine, tmp_path: Path) -> None:
    """One line, status 69, and nothing is changed."""
    (tmp_path / "back-up").mkdir()
    (tmp_path / "back-up" / "letter").write_text("dear")

    done = openclick("store", "backup", str(tmp_path / "back-up"))

    assert EX_UNAVAILABLE == done.status
    assert (
        f"openclick: {tmp_path}/back-up: is not empty; need a new directory for the back-up\n"
        == done.err
    )
    assert ["letter"] == os.listdir(tmp_path / "back-up")


def test_an_empty_directory_will_do(openclick: CommandLine, tmp_path: Path) -> None:
    """A mount point, for example."""
    (tmp_path / "back-up").mkdir()

    assert 0 == openclick("store", "backup", str(tmp_path / "back-up")).status


def test_a_damaged_file_is_not_backed_up_silently(openclick: CommandLine, tmp_path: Path) -> None:
    """Whoever believes to have a back-up has one."""
    with closing(openclick.store.hit_log()) as log:
        log.append([a_hit(number) for number in range(500)])
    with (openclick.store.directory / "hits.db").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096)

    done = openclick("store", "backup", str(tmp_path / "back-up"))

    assert EX_UNAVAILABLE == done.status
    assert "hits.db: is damaged" in done.err
    assert "see: openclick store check" in done.err


def test_a_young_store(openclick: CommandLine, tmp_path: Path) -> None:
    """What is not made yet is said and is no fault."""
    for path in openclick.store.directory.glob("hits.db*"):
        path.unlink()

    done = openclick("store", "backup", str(tmp_path / "back-up"))

    assert 0 == done.status
    assert "hits.db: not made yet" in done.text


def test_a_back_up_put_back(openclick: CommandLine, tmp_path: Path) -> None:
    """The copies are a store: check finds no fault with them."""
    openclick("store", "backup", str(tmp_path / "back-up"))
    for name in FILES:
        for path in openclick.store.directory.glob(f"{name}*"):
            path.unlink()
        shutil.copy2(tmp_path / "back-up" / name, openclick.store.directory)

    done = openclick("store", "check")

    assert 0 == done.status, done.err
