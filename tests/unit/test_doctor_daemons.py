"""What `openclick doctor` says of the daemons, their ports, the clock and the versions."""

from dataclasses import replace

import pytest

from openclick.instants import SECOND
from openclick_admin.doctor import judge_daemons
from openclick_admin.doctor.facts import (
    Answer,
    ClockFacts,
    Facts,
    Knock,
    MilterFacts,
    PortFacts,
    Stage,
)
from unit.doctor_facts import NOW, a_milter, a_postfix, a_sidecar, bad, healthy, one

REFUSED = PortFacts("sidecar.listen", "127.0.0.1:8025", Answer.NOTHING, "Connection refused")


def with_knock(stage: Stage, error: str, blocked_at: str = "", *, chrooted: bool = False) -> Facts:
    """Return an installation whose socket was knocked at with this outcome."""
    knock = Knock("postfix", chrooted, stage, error, blocked_at)
    return healthy(postfix=replace(a_postfix(), knocks=(knock,)))


class TestMilter:
    """Whether the milter runs."""

    def test_it_never_ran(self) -> None:
        """There is a store, and no heartbeat in it."""
        assert "has never run" in one(judge_daemons.milter, healthy(milter=MilterFacts()))

    def test_it_is_stopped(self) -> None:
        """Its last sign of life is minutes old."""
        facts = healthy(milter=a_milter(beat_at=NOW - 300 * SECOND))

        found = one(judge_daemons.milter, facts)

        assert found.startswith("fault milter: gave its last sign of life 300 s ago (pid 4711)")
        assert "systemctl start openclick-milter" in found

    def test_it_was_killed_a_moment_ago(self) -> None:
        """The heartbeat is fresh, but there is no such process."""
        facts = healthy(milter=replace(a_milter(), process_lives=False))

        assert "pid 4711 is not seen" in one(judge_daemons.milter, facts)

    def test_messages_db_cannot_be_read(self) -> None:
        """The store's own words are passed on."""
        facts = healthy(milter=MilterFacts(fault="messages.db: permission denied"))

        assert "messages.db: permission denied" in one(judge_daemons.milter, facts)

    def test_messages_were_left_alone_for_faults(self) -> None:
        """A key or a store that could not be used."""
        facts = healthy(milter=a_milter(counters={"instrumented": 5, "faults": 2}))

        assert "2 messages went out untouched for a fault" in one(judge_daemons.milter, facts)


class TestSocket:
    """Whether Postfix's user reaches the milter."""

    def test_a_directory_that_postfix_may_not_enter(self) -> None:
        """The most frequent question about milters; the cure is spelt out."""
        directory = "/var/spool/postfix/openclick"

        found = one(judge_daemons.socket, with_knock(Stage.PATH, "Permission denied", directory))

        assert f"user postfix may not enter {directory}" in found
        assert f"chown openclick-milter:postfix {directory}; chmod 2750 {directory}" in found

    def test_no_socket_file(self) -> None:
        """The milter does not run."""
        found = one(judge_daemons.socket, with_knock(Stage.PATH, "No such file or directory"))

        assert "finds no unix:/var/spool/postfix/openclick/milter.sock" in found
        assert "systemctl start openclick-milter" in found

    def test_no_socket_file_in_the_chroot(self) -> None:
        """Or it is named from the root, where a chrooted smtpd does not look."""
        facts = with_knock(Stage.PATH, "No such file or directory", chrooted=True)

        found = one(judge_daemons.socket, facts)

        assert "user postfix (in the chroot)" in found
        assert "or it is not below the queue directory" in found

    def test_a_socket_file_that_nobody_listens_at(self) -> None:
        """It stays after a kill -9."""
        found = one(judge_daemons.socket, with_knock(Stage.CONNECT, "Connection refused"))

        assert "does not answer user postfix: Connection refused" in found

    def test_a_socket_that_postfix_may_not_write_to(self) -> None:
        """The directory lacks its set-group-id bit, so the socket has another group."""
        found = one(judge_daemons.socket, with_knock(Stage.CONNECT, "Permission denied"))

        assert "group postfix with mode 2750" in found

    def test_another_program_answers(self) -> None:
        """It takes connections and is no milter."""
        facts = with_knock(Stage.TALK, "the answer begins with b'220 mail'")

        assert "is no milter: the answer begins with b'220 mail'" in one(
            judge_daemons.socket, facts
        )

    def test_a_tcp_socket(self) -> None:
        """It works, and costs time."""
        facts = healthy("[milter]", 'socket = "inet:8894@127.0.0.1"')

        assert one(judge_daemons.socket, facts).startswith("warning milter.socket:")


class TestSidecar:
    """Whether links and images answer."""

    def test_it_is_stopped(self) -> None:
        """Nothing answers anywhere."""
        facts = healthy(sidecar=a_sidecar(ports=(REFUSED,)))

        assert "answers nowhere" in one(judge_daemons.sidecar, facts)

    def test_it_is_not_ready(self) -> None:
        """The reasons of /readyz, one a line."""
        facts = healthy(sidecar=a_sidecar(not_ready=("hits: the recorder has ended",)))

        assert "is not ready: hits: the recorder has ended" in one(judge_daemons.sidecar, facts)

    def test_hits_were_lost(self) -> None:
        """Neither the store nor the journal could take them."""
        samples = {'openclick_sidecar_hits_total{outcome="lost"}': 7.0}

        found = one(judge_daemons.sidecar, healthy(sidecar=a_sidecar(samples=samples)))

        assert found.startswith("fault hits: 7 hits since the sidecar's start reached no disk")

    def test_a_port_is_taken(self) -> None:
        """By whom, and what it answers."""
        port = PortFacts("sidecar.listen", "0.0.0.0:80", Answer.OTHER, "status 200", "nginx[812]")

        found = one(judge_daemons.ports, healthy(sidecar=a_sidecar(ports=(port,))))

        assert "another program answers, which nginx[812] holds: status 200" in found

    def test_a_port_does_not_answer(self) -> None:
        """With the setting that names it."""
        found = one(judge_daemons.ports, healthy(sidecar=a_sidecar(ports=(REFUSED,))))

        assert found.startswith(
            "fault sidecar.listen 127.0.0.1:8025: no answer: Connection refused"
        )

    def test_the_status_listener_is_switched_off(self) -> None:
        """Then nobody can see whether it is ready."""
        facts = healthy("metrics_listen = []")

        assert one(judge_daemons.ports, facts).startswith("warning sidecar.metrics_listen:")


class TestClock:
    """Whether the clock is right."""

    def test_it_was_put_back(self) -> None:
        """Something in the store was written later than now."""
        clock = ClockFacts(True, NOW + 7200 * SECOND, "the milter's heartbeat")

        found = one(judge_daemons.clock, healthy(clock=clock))

        assert "the milter's heartbeat was written 7200 s later than that" in found

    def test_nobody_keeps_it(self) -> None:
        """The kernel knows."""
        found = one(judge_daemons.clock, healthy(clock=ClockFacts(synchronised=False)))

        assert found.startswith("warning clock: the kernel does not know it to be synchronised")

    @pytest.mark.parametrize("known", [True, None])
    def test_nothing_is_known_against_it(self, known: bool | None) -> None:
        """In some containers the kernel may not be asked."""
        assert bad(judge_daemons.clock, healthy(clock=ClockFacts(known))) == []


class TestVersions:
    """Whether what runs is what is installed."""

    def test_an_old_milter_runs_on(self) -> None:
        """After an upgrade by hand."""
        found = one(judge_daemons.versions, healthy(milter=a_milter(version="0.0.9")))

        assert "milter: runs version 0.0.9, but 0.1.0 is installed" in found

    def test_an_old_sidecar_runs_on(self) -> None:
        """It says its version in /metrics."""
        found = one(judge_daemons.versions, healthy(sidecar=a_sidecar(version="0.0.9")))

        assert "systemctl restart openclick-sidecar" in found

    def test_a_library_is_missing(self) -> None:
        """With the program that needs it."""
        facts = healthy()
        versions = replace(facts.versions, libraries={"treq": ""})

        found = one(judge_daemons.versions, replace(facts, versions=versions))

        assert found.startswith("fault treq: is not installed, and the sidecar needs it")

    def test_acme_is_asked_for_and_missing(self) -> None:
        """The library is optional until then."""
        facts = healthy("[acme]", 'directory_url = "https://ca.example/directory"')
        versions = replace(facts.versions, libraries={"acme": ""})

        found = one(judge_daemons.versions, replace(facts, versions=versions))

        assert "apt install python3-acme" in found
