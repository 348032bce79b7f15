"""A fresh install of the Debian packages: what is there, what runs, and what may do what.

Each test goes on where the one before it ended; the first begins with nothing of ours there, and
the last leaves nothing.
"""

from pathlib import Path

import pytest

from support.http_client import fetch
from support.packaged_machine import PACKAGES, SETTINGS, PackagedMachine
from support.processes import LOOPBACK
from support.room import RoomError

PORT_80 = (LOOPBACK, 80)
ENABLE = "systemctl enable --now openclick-sidecar-http.socket openclick-sidecar"
_WORLD_WRITABLE = 0o002
_SET_IDS = 0o6000


def test_a_fresh_install(machine: PackagedMachine) -> None:
    """No question, the milter runs, and there is a first key; no port is opened unasked."""
    machine.install("current")

    assert machine.is_active("openclick-milter"), machine.journal("openclick-milter")
    assert list((machine.root / "var/lib/openclick/keys").glob("*.key")) != []
    for unit in ("openclick-sidecar.service", "openclick-sidecar-http.socket"):
        assert not machine.is_active(unit)
        assert machine.service(unit, "UnitFileState") == "disabled"


def test_one_command_opens_port_80_and_starts_the_sidecar(machine: PackagedMachine) -> None:
    """Both daemons then run under their users, and reach for nothing that they may not."""
    machine.shell(ENABLE)

    for unit in ("openclick-milter", "openclick-sidecar"):
        assert machine.is_active(unit), machine.journal(unit)
        assert machine.service(unit, "User") == unit
        assert machine.service(unit, "NRestarts") == "0"
    assert fetch(f"http://{LOOPBACK}/", PORT_80, timeout=60).status == 200


def test_postfix_is_not_touched(machine: PackagedMachine) -> None:
    """Not one line of its configuration names us but the one that the test wrote."""
    etc = machine.root / "etc" / "postfix"

    lines = [
        line
        for name in ("main.cf", "master.cf")
        for line in (etc / name).read_text("utf-8").splitlines()
        if "openclick" in line
    ]

    assert [line for line in lines if "smtpd_milters" not in line] == []
    assert len(lines) == 1


def test_rights(machine: PackagedMachine) -> None:
    """Nothing is world-writable or setuid; secrets are 0640, the store is 2770."""
    listed = machine.shell(f"dpkg -L {' '.join(PACKAGES)}").split()
    below = machine.shell("find /etc/openclick /var/lib/openclick /var/spool/postfix/openclick")
    paths = [machine.root / name[1:] for name in {*listed, *below.split()} if name != "/."]
    own = [path for path in paths if "openclick" in str(path.relative_to(machine.root))]

    modes = {f"/{path.relative_to(machine.root)}": path.lstat().st_mode & 0o7777 for path in own}

    writable = [name for name, mode in modes.items() if mode & _WORLD_WRITABLE]
    set_ids = [name for name, mode in modes.items() if mode & _SET_IDS]
    assert writable == []
    assert sorted(set_ids) == [
        "/var/lib/openclick",
        "/var/lib/openclick/acme-webroot",
        "/var/lib/openclick/certificates",
        "/var/lib/openclick/journal",
        "/var/spool/postfix/openclick",
    ]
    assert modes["/etc/openclick"] == 0o750
    assert modes[SETTINGS] == 0o640
    assert modes["/var/lib/openclick"] == 0o2770
    assert modes["/var/lib/openclick/keys"] == 0o750
    assert modes["/var/lib/openclick/keys/000.v1.key"] == 0o640
    assert modes["/var/lib/openclick/openclick.db"] == 0o660
    assert modes["/var/spool/postfix/openclick"] == 0o2750
    owners = machine.shell(f"stat -c %U:%G /etc/openclick {SETTINGS} /var/lib/openclick/keys/*")
    assert set(owners.split()) == {"root:openclick"}


def test_what_the_daemons_cannot_do(machine: PackagedMachine) -> None:
    """The sidecar cannot read mail, and the milter has no network but its socket."""
    run = machine.room.run_as_service

    mail = run("openclick-sidecar", "ls", "/var/spool/postfix")
    settings = run("openclick-sidecar", "cat", SETTINGS)
    new_file = run("openclick-milter", "touch", "/var/lib/openclick/keys/x")
    network = run("openclick-milter", "cat", "/proc/1/../thread-self/net/dev")

    assert mail.returncode != 0
    assert "openclick" in settings.stdout
    assert new_file.returncode != 0
    interfaces = [line.split(":")[0].strip() for line in network.stdout.splitlines()[2:]]
    assert [name for name in interfaces if name != "lo"] == []


def test_the_units_are_sound_there(machine: PackagedMachine) -> None:
    """That Debian's own systemd takes every line, and finds them as closed as ours does."""
    units = machine.shell("ls -d /lib/systemd/system/openclick-*").split()

    # It looks for the manual pages too that Documentation= names.
    said = machine.shell(f"systemd-analyze verify {' '.join(units)}")

    assert [line for line in said.splitlines() if "openclick" in line] == []
    for unit, most in (("openclick-milter", 15), ("openclick-sidecar", 20)):
        machine.room.run("systemd-analyze", "security", f"--threshold={most}", f"{unit}.service")


def test_each_program_and_the_settings_have_their_page(machine: PackagedMachine) -> None:
    """Where man(1) looks for it, and without a warning."""
    listed = machine.shell(f"dpkg -L {' '.join(PACKAGES)}").split()
    names = [Path(name).name for name in listed if Path(name).parent == Path("/usr/bin")]
    names.append(Path(SETTINGS).name)

    said = machine.shell(
        f"for name in {' '.join(names)}; do man --warnings --encoding=utf-8 $name >/dev/null; done"
    )

    assert sorted(names) == ["openclick", "openclick-milter", "openclick-sidecar", "openclick.toml"]
    assert said == ""


def test_the_milter_is_small(machine: PackagedMachine) -> None:
    """Below 40 MiB after its start."""
    pid = machine.service("openclick-milter", "MainPID")

    used = machine.shell(f"awk '/^VmRSS/ {{ print $2 }}' /proc/{pid}/status")

    assert int(used) < 40 * 1024


def test_bash_completes_its_words(machine: PackagedMachine) -> None:
    """The completion is loaded by bash-completion, and asks the command itself."""
    script = (
        ". /usr/share/bash-completion/bash_completion; _completion_loader openclick;"
        " COMP_WORDS=(openclick dom) COMP_CWORD=1; _openclick_completion openclick;"
        ' echo "${COMPREPLY[@]}"'
    )

    done = machine.room.run("bash", "-c", script)

    assert done.stdout.split() == ["domain"]


def test_a_newer_store_is_not_given_to_an_older_package(machine: PackagedMachine) -> None:
    """A downgrade past a migration is refused, and says what is needed; all goes on as before."""
    path = "/var/lib/openclick/openclick.db"
    change = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).close()"

    def set_schema(number: int) -> None:
        machine.room.run("python3", "-c", change, path, f"PRAGMA user_version = {number}")

    known, version = machine.schemas()["openclick.db"], machine.version()
    set_schema(9000)
    with pytest.raises(RoomError, match=r"not downgraded:\s+\S+openclick\.db has schema 9000"):
        machine.install("previous")
    set_schema(known)

    assert machine.version() == version
    assert machine.is_active("openclick-milter")


def test_a_whole_purge(machine: PackagedMachine) -> None:
    """With the keys removed by hand too, nothing is left but the users."""
    machine.remove(purge=True)
    machine.shell("rm -r /var/lib/openclick/keys; rmdir /var/lib/openclick")

    left = machine.shell(
        "find / -xdev -name '*openclick*' ! -path '/srv/*' ! -path '/proc/*' ! -path '/var/log/*'"
        " ! -path '/var/cache/*'"
    )

    assert left.split() == []
