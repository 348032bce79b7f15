"""`openclick init`: what both daemons need, made and mended."""

import os
import stat
from pathlib import Path

import pytest

from openclick.keys import load_keys
from unit.admin.fresh_installation import GROUP, Run


def mode(path: Path) -> int:
    """Return the rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_what_both_daemons_need(run: Run, tmp_path: Path) -> None:
    """The store's directory, openclick.db, the first key, each with its rights."""
    result = run("init", "--group", GROUP)

    store, keys = tmp_path / "store", tmp_path / "keys"
    assert result.exit_code == 0
    assert result.output == f"store: {store}\nkeys:  {keys} (1); back them up\n"
    assert (0o2770, 0o660) == (mode(store), mode(store / "openclick.db"))
    assert (0o750, 0o640) == (mode(keys), mode(keys / "000.v1.key"))
    assert (0,) == load_keys(str(keys)).key_ids


def test_init_again_keeps_what_is_there(ready: Run, tmp_path: Path) -> None:
    """No second key, no lost domain; the rights are set anew."""
    ready("domain", "add", "kontor.example")
    key = (tmp_path / "keys" / "000.v1.key").read_bytes()
    for path in ("store", "store/openclick.db", "keys", "keys/000.v1.key"):
        (tmp_path / path).chmod(0o700)

    result = ready("init", "--group", GROUP)

    assert result.exit_code == 0
    assert [0o2770, 0o660, 0o750, 0o640] == [
        mode(tmp_path / path) for path in ("store", "store/openclick.db", "keys", "keys/000.v1.key")
    ]
    assert key == (tmp_path / "keys" / "000.v1.key").read_bytes()
    assert "kontor.example" in ready("domain", "list").output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to any group")
def test_init_mends_the_group(ready: Run, tmp_path: Path) -> None:
    """A first run with the wrong group is put right by a second one."""
    result = ready("init", "--group", "61999")

    assert result.exit_code == 0
    assert {61_999} == {
        (tmp_path / path).stat().st_gid
        for path in ("store", "store/openclick.db", "keys", "keys/000.v1.key")
    }


def test_init_of_an_unknown_group(run: Run, tmp_path: Path) -> None:
    """Status 2, before anything is made."""
    result = run("init", "--group", "no-such-group")

    assert result.exit_code == 2
    assert (
        "there is no group 'no-such-group'; make it, or name another with --group" in result.output
    )
    assert not (tmp_path / "store").exists()


def test_init_where_it_may_not(run: Run, tmp_path: Path) -> None:
    """Status 77 and one line that says what to do."""
    (tmp_path / "store").write_text("a file")

    result = run("init", "--group", GROUP)

    assert result.exit_code == 77
    assert f"openclick: {tmp_path}/store: File exists; run this as root" in result.output
