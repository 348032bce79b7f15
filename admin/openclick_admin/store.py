"""`openclick store`: checks the store, backs it up, brings it to the newest schema.

A back-up is taken while everything runs: openclick.db, what waits in the journal, hits.db,
messages.db, then the keys.  In that order nothing is lost between two copies: a hit that has come
meanwhile is in the later file and is judged when the back-up is put back.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from grp import getgrgid
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from openclick.durable import sync_directory
from openclick.free_space import free_bytes
from openclick.store import FileReport, Store, StoreFault, keep_rights
from openclick_admin.context import Admin, pass_admin
from openclick_admin.output import json_option, print_json, print_table
from openclick_sidecar.journal import journal_files, waiting_bytes
from openclick_sidecar.keeper import journal_directory


@click.group("store")
def command() -> None:
    """Check the store, back it up, bring it to the newest schema."""


@command.command("check")
@json_option
@pass_admin
def check(admin: Admin, as_json: bool) -> None:
    """Look at every file: damage, schema, rights, sizes; exit 1 where something is wrong.

    Reads each file to its end, while everything may run.
    """
    store = admin.store
    directory_faults = store.inspect_directory()
    with _progress() as progress:
        reports = [
            store.inspect(name) for name in progress.track(store.file_names, description="check")
        ]
    places = _places(admin)
    faults = [f"{store.directory}: {fault}" for fault in directory_faults]
    faults += [f"{report.name}: {fault}" for report in reports for fault in report.faults]
    faults += places.pop("faults")
    if as_json:
        files = [dataclasses.asdict(report) for report in reports]
        print_json({"directory": str(store.directory), "files": files, **places, "faults": faults})
    else:
        _print_report(reports, places, faults)
    raise SystemExit(1 if faults else 0)


@command.command("backup")
@click.argument("directory", type=click.Path(path_type=Path))
@pass_admin
def backup(admin: Admin, directory: Path) -> None:
    """Copy store and keys into DIRECTORY, which is made, while everything runs.

    The copies keep owner, group and mode; put back, they are used as they are.
    """
    _make_empty(directory)
    store = admin.store
    openclick_db, *others = store.file_names
    journal = journal_directory(store, admin.config.store.journal_directory)
    with _told_as_fault():
        _back_up_database(store, openclick_db, directory)
        # Before hits.db, which knows how far each of these files was taken in.
        _copy_files(journal_files(journal), journal, directory / "journal")
        for name in others:
            _back_up_database(store, name, directory)
        keys = Path(admin.config.keys.directory)
        _copy_files(sorted(keys.glob("*.key")), keys, directory / "keys")
        sync_directory(directory)


@command.command("migrate")
@pass_admin
def migrate(admin: Admin) -> None:
    """Bring every file to the newest schema, as the file's owner; stop the daemons first.

    A file that is newer than this OpenClick is refused, and then none is changed.
    """
    store = admin.store
    for name in store.file_names:
        store.require_known_schema(name)
    for name in store.file_names:
        with _as_owner(store.directory / name):
            done = store.migrate(name)
        click.echo(f"{name}: {_story(done)}")


def _story(done: tuple[int, int] | None) -> str:
    if done is None:
        return "not made yet"
    before, after = done
    return f"schema {after}" if before == after else f"schema {before} -> {after}"


def _places(admin: Admin) -> dict[str, Any]:
    """Return what stands beside the files: journal and free space, and what is wrong there."""
    settings, store = admin.config.store, admin.store
    journal = journal_directory(store, settings.journal_directory)
    waiting = journal_files(journal)
    bytes_ = waiting_bytes(waiting)
    free = free_bytes(store.directory)
    faults = []
    if bytes_:
        faults.append(
            f"{journal}: {bytes_} bytes of hits wait to be taken into the store, which the "
            "sidecar does as soon as it runs and the store can be written"
        )
    if free is not None and free < settings.reserve_bytes:
        faults.append(
            f"{store.directory}: {free} bytes are free, fewer than store.reserve_bytes "
            f"({settings.reserve_bytes}): hits go to the journal"
        )
    faults += [
        f"{path}: was set aside as corrupt: remove it, with its -wal and -shm, once you have looked"
        for path in store.many_set_aside()
    ]
    return {
        "journal": {"directory": str(journal), "files": len(waiting), "bytes": bytes_},
        "free_bytes": free,
        "reserve_bytes": settings.reserve_bytes,
        "faults": faults,
    }


def _print_report(reports: list[FileReport], places: dict[str, Any], faults: list[str]) -> None:
    columns = ("file", "schema", "bytes", "log bytes", "mode", "owner", "group", "file id")
    print_table(columns, [_row(report) for report in reports], "")
    journal = places["journal"]
    click.echo(f"journal: {journal['directory']} ({journal['bytes']} bytes)")
    click.echo(f"free:    {places['free_bytes']} bytes ({places['reserve_bytes']} in reserve)")
    for fault in faults:
        click.echo(f"openclick: {fault}", err=True)
    if not faults:
        click.echo("no fault found")


def _row(report: FileReport) -> tuple[str, ...]:
    if not report.made:
        return (report.name, "not made yet", *[""] * 6)
    return (
        report.name,
        "?" if report.schema is None else str(report.schema),
        str(report.size_bytes),
        str(report.log_bytes),
        f"{report.mode:04o}",
        _user_name(report.uid),
        _group_name(report.gid),
        report.file_id or "",
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _make_empty(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise StoreFault(f"{directory}: is not empty; need a new directory for the back-up")
    except OSError as error:
        raise StoreFault(f"{directory}: cannot be made: {error.strerror}") from error


def _back_up_database(store: Store, name: str, directory: Path) -> None:
    if not (store.directory / name).exists():
        click.echo(f"{name}: not made yet")
        return
    target = directory / name
    with _progress() as progress:
        task = progress.add_task(name, total=None)
        store.back_up(
            name, target, lambda done, total: progress.update(task, completed=done, total=total)
        )
    click.echo(f"{name}: {target.stat().st_size} bytes")


def _copy_files(paths: list[Path], source: Path, target: Path) -> None:
    """Copy plain files with their rights; what is gone meanwhile is in hits.db."""
    if not paths:
        return
    target.mkdir(mode=0o700)
    copied = 0
    for path in paths:
        try:
            shutil.copyfile(path, target / path.name)
            keep_rights(path, target / path.name)
        except FileNotFoundError:
            continue
        copied += 1
    sync_directory(target)
    click.echo(f"{source}: {copied} files")


@contextmanager
def _told_as_fault() -> Iterator[None]:
    """Tell what goes wrong with plain files as the store's own faults are told."""
    try:
        yield
    except OSError as error:
        raise StoreFault(f"{error.filename}: {error.strerror}; the back-up is not whole") from error


@contextmanager
def _as_owner(path: Path) -> Iterator[None]:
    """Be the file's owner for a while, where we are root: what SQLite makes is the owner's too."""
    if os.geteuid() != 0 or not path.exists():
        yield
        return
    status = path.stat()
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _progress() -> Progress:
    """Return a bar on standard error, which shows where that is a terminal and goes when done."""
    console = Console(stderr=True)
    console.quiet = not console.is_terminal  # Debian 12's rich ends even a disabled bar with a line
    return Progress(console=console, transient=True, disable=console.quiet)
