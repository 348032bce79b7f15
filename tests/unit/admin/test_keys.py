"""`openclick keys`, run in-process against real key files."""

from pathlib import Path

from unit.admin.fresh_installation import Run


def test_keys_rotate_and_list(ready: Run, tmp_path: Path) -> None:
    """The new one seals, the old one opens."""
    rotated = ready("keys", "rotate")
    listed = ready("keys", "list")

    assert rotated.output.startswith(f"{tmp_path}/keys/001.v1.key: made; ")
    assert listed.output == "000  opens\n001  seals and opens\n"


def test_keys_list_with_one_that_is_damaged(ready: Run, tmp_path: Path) -> None:
    """The others are listed; the file is named, and the status says that something is wrong."""
    ready("keys", "rotate")
    (tmp_path / "keys" / "001.v1.key").write_bytes(b"\n")

    listed = ready("keys", "list")

    assert listed.output == "000  opens\n"
    assert str(listed.exception) == f"{tmp_path}/keys/001.v1.key: holds 0 bytes: need 64"
