"""Two users in one group, and the rights of DESIGN 5, looked at while everything runs."""

import stat
from pathlib import Path

import pytest

from support import messages
from support.deployment import DOMAIN, Deployment, delivered
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.processes import wait_until
from support.reading import tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix


@pytest.fixture
def used(deployment: Deployment, sink: SmtpSink) -> Deployment:
    """Give a deployment that has tracked a mail and taken a hit, so that every file is there."""
    raw = messages.newsletter()
    send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    fetch(tracking_links(delivered(sink, raw))[0], deployment.peer, {"User-Agent": "x"})
    wait_until((deployment.installation.state / "hits.db").exists, 5, "hits.db")
    return deployment


def mode_of(path: Path) -> str:
    """Return the mode as four octal digits."""
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def ids_of_process(pid: int) -> tuple[set[int], set[int]]:
    """Return the user ids and the group ids, supplementary ones included, of a process."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    groups = set(map(int, fields["Gid"].split())) | set(map(int, fields["Groups"].split()))
    return set(map(int, fields["Uid"].split())), groups


def test_daemons_run_as_two_users_of_one_group(used: Deployment) -> None:
    """Neither daemon is root, they are not each other, and they share the one group."""
    installation = used.installation
    assert installation.milter is not None
    assert installation.sidecar is not None

    milter, sidecar = (
        ids_of_process(daemon.pid) for daemon in (installation.milter, installation.sidecar)
    )

    assert ({installation.milter_uid}, {installation.gid}) == milter
    assert ({installation.sidecar_uid}, {installation.gid}) == sidecar
    assert installation.milter_uid != installation.sidecar_uid


def test_store_belongs_to_the_group(used: Deployment) -> None:
    """The directory is 2770 and every file in it 0660, of the group, whoever made it."""
    state = used.installation.state

    databases = sorted(state.glob("*.db*"))

    assert "2770" == mode_of(state)
    assert {"openclick.db", "messages.db", "hits.db"} <= {path.name for path in databases}
    assert {"0660"} == {mode_of(path) for path in databases}
    assert {used.installation.gid} == {path.stat().st_gid for path in databases}


def test_each_file_was_made_by_its_writing_side(used: Deployment) -> None:
    """messages.db is the milter's, hits.db the sidecar's."""
    state, installation = used.installation.state, used.installation

    owners = {name: (state / name).stat().st_uid for name in ("messages.db", "hits.db")}

    assert {
        "messages.db": installation.milter_uid,
        "hits.db": installation.sidecar_uid,
    } == owners


def test_keys_are_read_by_the_group_and_written_by_root(used: Deployment) -> None:
    """The key directory is 0750, a key 0640, both of root and the group."""
    keys = used.installation.state / "keys"

    [key] = keys.iterdir()

    assert ("0750", "0640") == (mode_of(keys), mode_of(key))
    assert (0, used.installation.gid) == (key.stat().st_uid, key.stat().st_gid)


def test_socket_is_for_postfix_alone(used: Deployment) -> None:
    """The socket is 0770 and of group postfix, in a 2750 directory of the milter's user."""
    directory = used.postfix.queue_dir / "openclick"

    socket = directory / "milter.sock"

    assert ("2750", "0770") == (mode_of(directory), mode_of(socket))
    assert used.installation.milter_uid == socket.stat().st_uid
    assert directory.stat().st_gid == socket.stat().st_gid
