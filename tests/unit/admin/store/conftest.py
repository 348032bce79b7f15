"""An installation that was used, for every test of `openclick store`."""

from contextlib import closing
from pathlib import Path

import pytest

from unit.admin.command_line import CommandLine
from unit.samples import a_domain, a_hit, a_message


@pytest.fixture
def openclick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> CommandLine:
    """Return the command of an installation that was used: every file is there."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o2770)
    made = CommandLine(tmp_path / "store", monkeypatch, capfdbinary)
    made.config_path = tmp_path / "openclick.toml"
    made.configure()
    made.add(a_domain())
    made.record(a_message())
    with closing(made.store.hit_log()) as log:
        log.append([a_hit(1), a_hit(2)])
    return made
