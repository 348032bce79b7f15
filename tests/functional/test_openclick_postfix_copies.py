"""What becomes of Postfix's files where `openclick postfix` cannot do what it meant to do.

Real postconf on a directory with Debian's stock files; no Postfix runs.
"""

import os
import shutil
import signal
from pathlib import Path

import pytest

from openclick_admin import postfix_copies
from openclick_admin.postconf import PostfixFault
from openclick_admin.postfix_plan import Change, Plan
from support.fixtures import requires_private_postfix

pytestmark = requires_private_postfix

GOOD = Change("-e", "non_smtpd_milters=unix:openclick/milter.sock")
BAD = Change("-P", "nosuch/inet/smtpd_milters=unix:x y")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a configuration directory as Debian's package makes it."""
    share = Path("/usr/share/postfix")
    shutil.copy(share / "main.cf.debian", tmp_path / "main.cf")
    shutil.copy(share / "master.cf.dist", tmp_path / "master.cf")
    return tmp_path


def contents(directory: Path) -> dict[str, bytes]:
    """Return every file below the directory."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_call_that_postconf_refuses_is_found_on_the_copy(directory: Path) -> None:
    """Before anything is changed."""
    before = contents(directory)

    with pytest.raises(PostfixFault, match="postconf"):
        postfix_copies.preview(directory, Plan(changes=[GOOD, BAD]))

    assert contents(directory) == before


def test_an_apply_that_fails_half_way_puts_everything_back(directory: Path) -> None:
    """The first call was made; the files are as before and no copy is left."""
    expected = postfix_copies.preview(directory, Plan(changes=[GOOD]))
    before = contents(directory)

    with pytest.raises(PostfixFault):
        postfix_copies.apply(directory, Plan(changes=[GOOD, BAD]), expected)

    assert contents(directory) == before


def test_a_second_apply_that_fails_keeps_the_first_ones_copy(directory: Path) -> None:
    """Undo still leads back to the files as they were at first."""
    first = contents(directory)
    plan = Plan(changes=[GOOD])
    postfix_copies.apply(directory, plan, postfix_copies.preview(directory, plan))
    more = Plan(changes=[Change("-e", "biff=yes")])
    expected = postfix_copies.preview(directory, more)

    with pytest.raises(PostfixFault):
        postfix_copies.apply(directory, Plan(changes=[*more.changes, BAD]), expected)
    postfix_copies.undo(directory)

    assert contents(directory) == first


def test_files_that_changed_since_the_preview_are_left_alone(directory: Path) -> None:
    """What somebody else wrote meanwhile is neither undone nor built upon."""
    plan = Plan(changes=[GOOD])
    expected = postfix_copies.preview(directory, plan)
    (directory / "main.cf").write_text("biff = yes\n", "utf-8")
    edited = contents(directory)

    with pytest.raises(PostfixFault, match="nothing was done"):
        postfix_copies.apply(directory, plan, expected)

    assert contents(directory) == edited


def test_a_further_file_is_removed_again(directory: Path) -> None:
    """The table of the split was not there before the apply."""
    before = contents(directory)
    plan = Plan(changes=[GOOD], files={"openclick_split": "example.com FILTER x:y\n"})
    postfix_copies.apply(directory, plan, postfix_copies.preview(directory, plan))
    assert (directory / "openclick_split").exists()

    postfix_copies.undo(directory)

    assert contents(directory) == before


def killed_in(function: str, directory: Path, plan: Plan) -> None:
    """Apply a plan in a process that is killed when it comes to a function."""
    expected = postfix_copies.preview(directory, plan)
    child = os.fork()
    if not child:
        setattr(postfix_copies, function, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        try:
            postfix_copies.apply(directory, plan, expected)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert signal.SIGKILL == os.waitstatus_to_exitcode(status) * -1


@pytest.mark.parametrize("function", ["_copy", "_note", "_carry_out"])
def test_a_killed_apply_stands_in_nobodys_way(directory: Path, function: str) -> None:
    """Before, within and after the copy: the next one does it, and undo leads all the way back."""
    before = contents(directory)
    plan = Plan(changes=[GOOD])
    killed_in(function, directory, plan)

    postfix_copies.apply(directory, plan, postfix_copies.preview(directory, plan))
    applied = (directory / "main.cf").read_bytes()
    while (directory / postfix_copies.FOLDER).exists():
        postfix_copies.undo(directory)

    assert b"openclick/milter.sock" in applied
    assert contents(directory) == before


def test_a_copy_without_a_manifest(directory: Path) -> None:
    """As an older OpenClick left one when it was killed: it is made anew."""
    plan = Plan(changes=[GOOD])
    rest = directory / postfix_copies.FOLDER / "1"
    rest.mkdir(parents=True)
    (rest / "main.cf").write_text("half", "utf-8")

    folder = postfix_copies.apply(directory, plan, postfix_copies.preview(directory, plan))

    assert folder == rest
    assert (rest / "main.cf").read_text("utf-8") != "half"


def test_a_kill_before_anything_was_changed_is_undone(directory: Path) -> None:
    """Without --force: there is nothing that could be lost."""
    before = contents(directory)
    killed_in("_carry_out", directory, Plan(changes=[GOOD]))

    postfix_copies.undo(directory)

    assert contents(directory) == before


def test_nothing_to_undo_is_said(directory: Path) -> None:
    """In one line."""
    with pytest.raises(PostfixFault, match="nothing to undo"):
        postfix_copies.undo(directory)


def test_the_copies_are_roots_alone(directory: Path) -> None:
    """main.cf may name secrets, and a copy must not be easier to read than the file."""
    (directory / "main.cf").chmod(0o640)
    plan = Plan(changes=[GOOD])

    folder = postfix_copies.apply(directory, plan, postfix_copies.preview(directory, plan))

    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert (folder / "main.cf").stat().st_mode & 0o777 == 0o640
