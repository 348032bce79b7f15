"""Where log lines go: each with its level, and never at the price of waiting."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclick.log_targets import JournalHandler, SyslogHandler, is_journal, severity


def a_record(level: int = logging.WARNING, text: str = "4Xk2Q1z0: untouched") -> logging.LogRecord:
    """Return a line as the daemons write it."""
    return logging.LogRecord("x", level, "", 0, text, None, None)


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[socket.socket]:
    """Give a syslog's end of the socket, in a file of its own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize(
    ("level", "number"),
    [
        (logging.CRITICAL, 3),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
        (logging.DEBUG, 7),
    ],
)
def test_levels_have_syslogs_severities(level: int, number: int) -> None:
    """So that journalctl -p and a syslog's filters know them."""
    assert severity(level) == number


def test_the_journal_is_told_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    """As sd-daemon(3) has it, at the very beginning of the line."""
    handler = JournalHandler()

    handler.emit(a_record())

    assert capsys.readouterr().err == "<4>4Xk2Q1z0: untouched\n"


def test_standard_error_is_the_journal_where_systemd_says_so() -> None:
    """And only where it is still that very stream: a shell's redirection is none."""
    reading, writing = os.pipe()
    status = os.fstat(writing)
    stream = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

    found = [is_journal(environment, writing) for environment in (stream, {})]
    found.append(is_journal({"JOURNAL_STREAM": "8:1"}, writing))
    os.close(reading)
    os.close(writing)

    assert found == [True, False, False]
    assert is_journal(stream, writing) is False


def test_a_line_to_syslog(syslog: socket.socket) -> None:
    """Facility mail, as Postfix's lines: 2 * 8 and the severity, then program and pid."""
    handler = SyslogHandler("openclick-milter", syslog.getsockname())

    handler.emit(a_record())
    handler.close()

    head = f"<20>openclick-milter[{os.getpid()}]: "
    assert syslog.recv(9000).decode() == f"{head}4Xk2Q1z0: untouched"


def test_no_syslog_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line goes to standard error; the next one tries again."""
    handler = SyslogHandler("openclick-milter", str(tmp_path / "log"))
    handler.emit(a_record(text="first: line"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))

        handler.emit(a_record(text="second: line"))

        assert listening.recv(9000).endswith(b"]: second: line")
    assert capsys.readouterr().err == "openclick-milter first: line\n"
    handler.close()


def test_a_syslog_that_does_not_read(
    syslog: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its queue is full: no mail waits for it, and no line is lost."""
    handler = SyslogHandler("openclick-milter", syslog.getsockname())

    for number in range(2000):
        handler.emit(a_record(text=f"{number}: line"))
    handler.close()

    taken = 0
    try:
        while syslog.recv(9000):
            taken += 1
    except BlockingIOError:
        pass
    told = len(capsys.readouterr().err.splitlines())
    assert taken > 0
    assert taken + told == 2000
