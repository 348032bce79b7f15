"""`openclick doctor` on a store with faults: no daemon runs, so that what is planted stays."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.free_space import FreeSpace
from openclick.instants import SECOND, now
from openclick.store import Heartbeat
from openclick_sidecar.journal import Journal
from support.disks import memory_disk
from support.dns_server import DnsServer
from support.fixtures import installed
from support.installation import Installation
from support.ward import Looked, examine
from unit.samples import a_hit

DAY = 86_400 * SECOND


@pytest.fixture
def installation(dns_server: DnsServer) -> Iterator[Installation]:
    """Give an installation whose daemons never ran, with a hit of an hour ago in hits.db."""
    with installed(Installation) as made:
        made.configure(f"unix:{made.directory}/milter.sock", dns_server.port)
        made.init()
        with closing(made.store.hit_log()) as log:
            log.append([a_hit(received_at=now() - 3600 * SECOND)])
        yield made


def looked_at(installation: Installation) -> Looked:
    """Run the doctor; there is no Postfix in that directory."""
    return examine(installation, "--postfix-config", str(installation.directory))


def test_nothing_was_started_yet(installation: Installation) -> None:
    """As right after the install: what is missing, each with its command."""
    looked = looked_at(installation)

    assert looked.status == 3
    assert "messages.db" in looked.faults("milter")[0]
    assert "systemctl start openclick-sidecar" in looked.faults("sidecar")[0]
    assert "openclick domain add" in looked.warnings("domains")[0]
    assert "openclick webhook add" in looked.warnings("webhooks")[0]
    assert looked.faults("store") == []


def test_a_damaged_file(installation: Installation) -> None:
    """Found by reading it whole."""
    path = installation.state / "hits.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096)

    lines = looked_at(installation).faults("store")

    assert lines
    assert all(line.startswith("hits.db: ") for line in lines)


def test_a_file_of_a_newer_openclick(installation: Installation) -> None:
    """After a downgrade."""
    with closing(sqlite3.connect(installation.state / "hits.db")) as connection:
        connection.execute("PRAGMA user_version = 99")

    (line,) = looked_at(installation).faults("store")

    assert line.startswith("hits.db: ")
    assert "99" in line


def test_rights_that_shut_a_daemon_out(installation: Installation) -> None:
    """Of a file and of the directory."""
    os.chmod(installation.state / "hits.db", 0o644)
    os.chmod(installation.state, 0o755)

    lines = looked_at(installation).faults("store")

    assert any("has mode 0755; need 2770" in line for line in lines)
    assert any("hits.db: has mode 0644; need 0660" in line for line in lines)


def test_a_file_that_was_set_aside(installation: Installation) -> None:
    """Nobody has looked at it yet."""
    (installation.state / "hits.db.corrupt-20261127T040813Z").write_bytes(b"?")

    (line,) = looked_at(installation).warnings("store")

    assert "was set aside as corrupt" in line


def test_hits_that_nobody_judges(installation: Installation) -> None:
    """The sidecar does not run."""
    (line,) = looked_at(installation).faults("judging")

    assert "1 hits wait to be judged, the oldest for 36" in line


def test_hits_in_the_journal(installation: Installation) -> None:
    """hits.db could not take them."""
    journal = installation.state / "journal"
    journal.mkdir(exist_ok=True)
    Journal(journal, FreeSpace(journal, 0, lambda: 0.0), now).append([a_hit(2)])

    (line,) = looked_at(installation).warnings("disk")

    assert "bytes of hits wait to be taken into hits.db" in line


def test_the_clock_was_put_back(installation: Installation) -> None:
    """The milter beat in two hours from now."""
    beat_at = now() + 7200 * SECOND
    with closing(installation.store.message_log()) as log:
        log.beat(Heartbeat(os.getpid(), "0.0.1", beat_at, beat_at, {}))

    looked = looked_at(installation)

    assert "it has been put back" in looked.faults("clock")[0]
    assert "runs version 0.0.1" in looked.warnings("versions")[0]


def test_a_milter_that_stopped_yesterday(installation: Installation) -> None:
    """Its last heartbeat stays in messages.db."""
    beat_at = now() - DAY
    with closing(installation.store.message_log()) as log:
        log.beat(Heartbeat(1, "0.1.0", beat_at, beat_at, {"foreign": 9}))

    looked = looked_at(installation)

    assert "gave its last sign of life 864" in looked.faults("milter")[0]
    assert "none of the 9 messages" in looked.warnings("trust")[0]


def test_keys_in_wrong_hands_and_no_keys(installation: Installation) -> None:
    """Once everybody may read it, once it is gone."""
    (key,) = (installation.state / "keys").glob("*.key")
    os.chmod(key, 0o644)
    os.chown(key, -1, 0)
    open_to_all = looked_at(installation).faults("keys")
    key.unlink()
    gone = looked_at(installation).faults("keys")

    assert f"chmod 0640 {key}; openclick keys rotate" in open_to_all[0]
    assert "a daemon cannot read it" in open_to_all[1]
    assert "holds no key" in gone[0]


def test_a_full_disk(installation: Installation, dns_server: DnsServer, tmp_path: Path) -> None:
    """Fewer bytes are free than hits are to leave."""
    with memory_disk(tmp_path / "disk", 8_000_000) as disk:
        installation.configure(
            f"unix:{installation.directory}/m.sock",
            dns_server.port,
            store={"url": f"sqlite:{disk}"},
            keys={"directory": f"{disk}/keys"},
        )
        installation.init()
        (line,) = looked_at(installation).faults("disk")

    assert "67,108,864 are kept in reserve: hits go to the journal" in line


def test_no_store(installation: Installation) -> None:
    """Every check that needs it says so; none ends the command."""
    installation.configure(f"unix:{installation.directory}/m.sock", 53, store={"url": "sqlite:/n"})

    looked = looked_at(installation)

    assert "openclick init" in looked.faults("store")[0]
    assert {"milter", "domains", "webhooks", "store"} <= {check for check, _ in looked.bad("fault")}
