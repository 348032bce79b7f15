"""Changes Postfix's configuration, and takes the change back byte for byte.

Called by `openclick postfix --apply` and `--undo`.  How: the calls of postconf are made on a
scratch copy first, whose files are the preview; then the files as they are go to
`openclick-undo/NUMBER` in Postfix's configuration directory; then postconf is called for good, and
what it made is compared with the preview.  A fault on the way puts the files back.

Promises: undo restores content, owner, rights and time of each file, and removes what was not
there; where a file was changed after the apply, undo says so and touches nothing unless told to.
Another apply with nothing changed in between keeps the older copy, so that one undo leads all the
way back.  A copy is made beside its place and moved there whole: what a killed command has left
over stands in the way of none, and a command that was killed before it changed a file is undone.
Limits: run by one admin at a time.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openclick_admin.postconf import PostfixFault, postconf
from openclick_admin.postfix_plan import Plan

FOLDER = "openclick-undo"
_FILES = ("main.cf", "master.cf")

Contents = Mapping[str, bytes | None]
"""File name in the configuration directory to its bytes; None where there is no such file."""


@dataclass(frozen=True)
class Preview:
    """The files before and after a plan."""

    before: Contents
    after: Contents

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    def diff(self) -> str:
        """Return a unified diff of every file."""
        return differences(self.before, self.after)


def differences(before: Contents, after: Contents) -> str:
    """Return a unified diff from one state of the files to the other."""
    text = ""
    for name in sorted({*before, *after}):
        old, new = (_lines(contents.get(name)) for contents in (before, after))
        text += "".join(difflib.unified_diff(old, new, f"{name} (now)", f"{name} (then)"))
    return text


def preview(directory: Path, plan: Plan) -> Preview:
    """Make the plan's changes on a copy.  Raises PostfixFault where postconf refuses one."""
    names = [*_FILES, *plan.files]
    before = _read(directory, names)
    with _scratch(directory) as scratch:
        _carry_out(scratch, plan)
        return Preview(before, _read(scratch, names))


def apply(directory: Path, plan: Plan, expected: Preview) -> Path:
    """Keep a copy of the files, change them, and return the folder of the copy.

    Raises PostfixFault where the files are not what the preview saw, or not what it made of them;
    they are then as before.
    """
    if _read(directory, list(expected.before)) != expected.before:
        raise PostfixFault(f"{directory}: changed by somebody else just now; nothing was done")
    folder = _folder_for(directory, expected.before)
    known = _manifest(folder)
    if known:
        _note(folder, known | _digests(expected.after), expected.after)
    else:
        _keep(directory, folder, expected)
    try:
        _carry_out(directory, plan)
        if _read(directory, list(expected.after)) != expected.after:
            raise PostfixFault(f"{directory}: is not what the preview made; put back")
    except BaseException:
        _put_back(directory, expected.before)
        if known:
            _note(folder, known, expected.before)
        else:
            _drop(folder)
        raise
    return folder


def undo(directory: Path, *, force: bool = False) -> str:
    """Put the newest copy back; return which folder it was.

    Raises PostfixFault where there is none, or a file was changed since (unless `force`).
    """
    folders = _folders(directory)
    if not folders:
        raise PostfixFault(f"{directory / FOLDER}: no copy there: nothing to undo")
    folder = folders[-1]
    noted = _manifest(folder)
    now = _read(directory, list(noted))
    kept = _read(folder, list(noted))
    changed = [
        name for name in noted if _digest(now[name]) != noted[name] and now[name] != kept[name]
    ]
    if changed and not force:
        after = {name: _optional(folder / f"after-{name}") for name in changed}
        lost = differences(after, {name: now[name] for name in changed})
        raise PostfixFault(
            f"{directory}: changed since the apply: {', '.join(changed)}; undoing would lose this "
            f"(--force does it all the same):\n{lost}"
        )
    _restore(directory, folder)
    _drop(folder)
    return folder.name


def _folder_for(directory: Path, now: Contents) -> Path:
    """Return the newest copy's folder where nothing was changed since, else a new one's."""
    folders = _folders(directory)
    if not folders:
        return directory / FOLDER / "1"
    noted = _manifest(folders[-1])
    if all(_digest(content) == noted.get(name) for name, content in now.items()):
        return folders[-1]
    return directory / FOLDER / str(int(folders[-1].name) + 1)


def _keep(directory: Path, folder: Path, expected: Preview) -> None:
    """Make the copy, whole or not at all."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.parent.chmod(0o700)
    for rest in folder.parent.iterdir():
        if rest.name.removesuffix(".new").isdigit() and rest not in _folders(directory):
            shutil.rmtree(rest)
    draft = folder.with_name(f"{folder.name}.new")
    draft.mkdir(mode=0o700)
    for name, content in expected.before.items():
        if content is not None:
            _copy(directory / name, draft / name)
    _note(draft, _digests(expected.after), expected.after)
    draft.rename(folder)


def _note(folder: Path, digests: Mapping[str, str | None], after: Contents) -> None:
    """Write down what the files are after the apply, so that a later change is seen."""
    for name, content in after.items():
        if content is not None:
            (folder / f"after-{name}").write_bytes(content)
    draft = folder / "manifest.new"
    draft.write_text(json.dumps({"after": digests}), "utf-8")
    draft.rename(folder / "manifest.json")


def _manifest(folder: Path) -> dict[str, str | None]:
    text = _optional(folder / "manifest.json")
    noted: dict[str, str | None] = json.loads(text)["after"] if text else {}
    return noted


def _drop(folder: Path) -> None:
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def _put_back(directory: Path, before: Contents) -> None:
    """Write the files as they were a moment ago."""
    for name, content in before.items():
        path = directory / name
        if content is None:
            path.unlink(missing_ok=True)
        elif _optional(path) != content:
            path.write_bytes(content)


def _restore(directory: Path, folder: Path) -> None:
    for name in _manifest(folder):
        if not (folder / name).exists():
            (directory / name).unlink(missing_ok=True)
            continue
        draft = directory / f".{name}.openclick"
        _copy(folder / name, draft)
        draft.rename(directory / name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file with owner, rights and time."""
    shutil.copyfile(source, target)
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    shutil.copystat(source, target)


def _carry_out(directory: Path, plan: Plan) -> None:
    for change in plan.changes:
        postconf(directory, change.option, change.argument)
    for name, text in plan.files.items():
        path = directory / name
        path.write_text(text, "utf-8")
        path.chmod(0o644)


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="openclick-postfix-") as name:
        for file in _FILES:
            shutil.copy2(directory / file, Path(name) / file)
        yield Path(name)


def _folders(directory: Path) -> list[Path]:
    found = (path.parent for path in (directory / FOLDER).glob("*/manifest.json"))
    return sorted((path for path in found if path.name.isdigit()), key=lambda path: int(path.name))


def _read(directory: Path, names: list[str]) -> dict[str, bytes | None]:
    return {name: _optional(directory / name) for name in names}


def _optional(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digests(contents: Contents) -> dict[str, str | None]:
    return {name: _digest(content) for name, content in contents.items()}


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "replace").splitlines(keepends=True)
