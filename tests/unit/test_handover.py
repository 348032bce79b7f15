"""The socket's way from one milter to the next, as far as it needs no second process."""

import os
import socket
from pathlib import Path

import pytest

from openclick_milter import handover


def listen(path: Path) -> socket.socket:
    """Return a socket that answers at `path`."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    return listening


@pytest.fixture(autouse=True)
def no_predecessor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has started this process as a successor."""
    monkeypatch.delenv(handover.READY_FD_VARIABLE, raising=False)


class TestIsServed:
    """A second milter must not push the first one aside."""

    def test_somebody_answers(self, tmp_path: Path) -> None:
        """Whoever it is, it was there before."""
        path = tmp_path / "m.sock"

        with listen(path):
            assert handover.is_served(path)

    def test_nobody_answers(self, tmp_path: Path) -> None:
        """A file that a killed milter left behind is no milter, nor is nothing at all."""
        stale, absent = tmp_path / "stale.sock", tmp_path / "absent.sock"

        listen(stale).close()

        assert stale.exists()
        assert not handover.is_served(stale)
        assert not handover.is_served(absent)

    def test_a_successor_takes_the_place_of_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whom its predecessor has started, that one may."""
        path = tmp_path / "m.sock"
        monkeypatch.setenv(handover.READY_FD_VARIABLE, "3")

        with listen(path):
            assert not handover.is_served(path)


class TestPublish:
    """One rename, and nothing left behind."""

    def test_own_socket_becomes_the_public_one(self, tmp_path: Path) -> None:
        """Whatever stood there before."""
        public = tmp_path / "m.sock"
        public.write_text("stale")

        with listen(handover.own_path(public)):
            handover.publish(public)

            assert handover.is_served(public)
        assert [public] == list(tmp_path.iterdir())

    def test_what_killed_milters_left_is_removed(self, tmp_path: Path) -> None:
        """Told by a pid that no process has; what is not a milter's stays."""
        public = tmp_path / "m.sock"
        stale, living = tmp_path / "m.sock.4194305", tmp_path / f"m.sock.{os.getppid()}"
        others = tmp_path / "m.sock.bak"
        for path in (stale, living, others, handover.own_path(public)):
            path.write_text("")

        handover.publish(public)

        assert {public, living, others} == set(tmp_path.iterdir())

    def test_withdrawn_socket_is_gone(self, tmp_path: Path) -> None:
        """Postfix then sees at once that nobody is there."""
        public = tmp_path / "m.sock"
        handover.own_path(public).write_text("")

        handover.publish(public).withdraw()

        assert not public.exists()

    def test_anothers_socket_is_not_withdrawn(self, tmp_path: Path) -> None:
        """It serves, and has nothing to do with this process's end."""
        public = tmp_path / "m.sock"
        handover.own_path(public).write_text("ours")
        published = handover.publish(public)
        another = tmp_path / "another"
        another.write_text("theirs")
        another.rename(public)

        published.withdraw()

        assert "theirs" == public.read_text()


class TestTellPredecessor:
    """The successor serves; whether anybody still listens is not its concern."""

    def test_predecessor_listens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It reads one word, and the variable is not handed on."""
        reading, writing = os.pipe()
        monkeypatch.setenv(handover.READY_FD_VARIABLE, str(writing))

        told = handover.tell_predecessor()

        assert told
        assert b"ready" == os.read(reading, 100)
        assert handover.READY_FD_VARIABLE not in os.environ
        os.close(reading)

    def test_predecessor_was_killed_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All the more reason to go on."""
        reading, writing = os.pipe()
        os.close(reading)
        monkeypatch.setenv(handover.READY_FD_VARIABLE, str(writing))

        assert handover.tell_predecessor()

    def test_there_is_none(self) -> None:
        """An ordinary start."""
        assert not handover.tell_predecessor()


def test_no_descriptor_is_left_for_a_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that serves goes on."""

    def full() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe", full)

    with pytest.raises(handover.HandoverFailed, match="Too many open files"):
        handover.start_successor()
