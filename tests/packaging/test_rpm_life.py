"""The rpm on a machine: its files run where their libraries come from Debian's packages.

The .deb files are installed and purged first, whether or not test_deb_life.py has had the machine
before: they bring the libraries, and leave the link keys. There is no Fedora here: what its package
manager would resolve, test_packaging.py compares.
"""

from support import messages
from support.deployment import delivered
from support.packaged_machine import SETTINGS, PackagedMachine
from support.processes import wait_until
from support.reading import tracking_links
from support.smtp_client import send

PROGRAMS = ("openclick", "openclick-milter", "openclick-sidecar")


def test_installed(machine: PackagedMachine) -> None:
    """Its scripts make users and directories; nothing is enabled or started by itself."""
    machine.install("current")
    machine.remove(purge=True)

    said = machine.shell("rpm --install --nodeps /srv/rpm/*.rpm")

    modes = machine.shell(
        f"stat -c '%a %U:%G' /etc/openclick {SETTINGS} /var/lib/openclick"
        " /var/spool/postfix/openclick"
    )
    assert "error" not in said
    assert modes.splitlines() == [
        "750 root:openclick",
        "640 root:openclick",
        "2770 root:openclick",
        "2750 openclick-milter:postfix",
    ]


def test_its_files_are_as_they_were_packed(machine: PackagedMachine) -> None:
    """rpm's own check finds no difference."""
    said = machine.shell("rpm --verify --nodeps openclick")

    assert said == ""


def test_its_programs_run(machine: PackagedMachine) -> None:
    """From the private directory, whatever else is called openclick."""
    for name in PROGRAMS:
        assert machine.shell(f"cd /; {name} --version").startswith(name)
    for name in PROGRAMS[1:]:
        assert "no fault found" in machine.shell(f"{name} --check-config")


def test_the_vendored_library_works(machine: PackagedMachine) -> None:
    """Where the distribution has none, as in EL10: it can be imported, and makes a client."""
    program = "import treq.client, treq; print(treq.__file__); treq.client.HTTPClient(None)"

    said = machine.shell(f"PYTHONPATH=/usr/share/openclick/vendored python3 -c '{program}'")

    assert said.startswith("/usr/share/openclick/vendored/treq/")


def test_its_units_track_mail(machine: PackagedMachine) -> None:
    """The same units as the deb's, hardened alike, with the launchers of the rpm."""
    machine.shell("systemctl daemon-reload")
    machine.shell("systemctl start openclick-init openclick-milter openclick-sidecar")
    machine.set_up()
    raw = messages.newsletter(message_id="<rpm@kontor.example>")

    result = send(machine.listener, "news@kontor.example", messages.RECIPIENTS, raw)

    assert result.accepted
    assert tracking_links(delivered(machine.sink, raw, timeout=60)) != []


def test_an_upgrade_hands_over(machine: PackagedMachine) -> None:
    """What the scriptlets do between two versions: no gap, and the same settings and store."""
    settings = (machine.root / SETTINGS[1:]).read_text("utf-8")
    old_pid = machine.service("openclick-milter", "MainPID")
    raw = messages.newsletter(message_id="<rpm.upgraded@kontor.example>")

    machine.shell("rpm --upgrade --nodeps --replacepkgs /srv/rpm/*.rpm")
    wait_until(
        lambda: machine.service("openclick-milter", "MainPID") != old_pid, 60, "the hand-over"
    )
    result = send(machine.listener, "news@kontor.example", messages.RECIPIENTS, raw)

    assert result.accepted
    assert tracking_links(delivered(machine.sink, raw, timeout=60)) != []
    assert machine.is_active("openclick-sidecar")
    assert settings == (machine.root / SETTINGS[1:]).read_text("utf-8")


def test_erased(machine: PackagedMachine) -> None:
    """It stops what runs, and leaves a copy of edited settings, the store and the link keys."""
    said = machine.shell("rpm --erase --nodeps openclick")

    left = machine.shell(
        "find / -xdev -name '*openclick*' ! -path '/srv/*' ! -path '/var/log/*'"
        " ! -path '/var/cache/*' ! -path '/var/lib/openclick/*' ! -path '/tmp/*'"
        " ! -path '/var/tmp/*'"
    )
    assert "sent links need the keys" in said
    assert machine.shell("ps -eo args | grep '[/]usr/bin/openclick' || true") == ""
    assert set(left.split()) <= {"/etc/openclick", f"{SETTINGS}.rpmsave", "/var/lib/openclick"}
    assert list((machine.root / "var/lib/openclick/keys").glob("*.key")) != []


def test_a_distributions_own_branch(machine: PackagedMachine) -> None:
    """Its programs are those of its Python; it comes and goes as the other."""
    machine.shell("rpm --install --nodeps /srv/distribution/*.rpm")

    # A distribution's build packs the bytecode, which the stand-ins leave out.
    run = "export PYTHONDONTWRITEBYTECODE=1; cd /;"
    for name in PROGRAMS:
        assert machine.shell(f"{run} {name} --version").startswith(name)
    for name in PROGRAMS[1:]:
        assert "no fault found" in machine.shell(f"{run} {name} --check-config")
    machine.shell("rpm --erase --nodeps openclick")

    assert machine.shell("find /usr -xdev -name '*openclick*'") == ""
