"""openclick-sidecar's start where the judge's files are at fault."""

from pathlib import Path

import pytest

from openclick.config import load_config
from openclick_sidecar.main import main, run


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    """Return settings that name a file of networks without a network."""
    networks = tmp_path / "networks.txt"
    networks.write_text("nonsense/\n")
    path = tmp_path / "openclick.toml"
    path.write_text(f'[judge]\nscanner_networks = ["{networks}"]\n')
    return path


def fault(directory: Path) -> str:
    """Return what is said of that file."""
    needs = "need a network, such as 192.0.2.0/24 or 2001:db8::/32"
    return f"{directory}/networks.txt:1: nonsense/: {needs}\nopenclick-sidecar not started\n"


def test_a_file_at_fault_ends_the_start(
    config_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 78 and one line, rather than a judge without the admin's networks."""
    assert run(load_config(str(config_path)), str(config_path)) == 78
    assert fault(config_path.parent) == capsys.readouterr().err


def test_a_file_at_fault_is_found_before_the_start(
    config_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --check-config, in the same words."""
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(config_path), "--check-config"])

    assert ended.value.code == 78
    assert fault(config_path.parent) == capsys.readouterr().err


def test_files_without_fault(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check-config has read them too."""
    (config_path.parent / "networks.txt").write_text("192.0.2.0/24\n")

    with pytest.raises(SystemExit) as ended:
        main(["--config", str(config_path), "--check-config"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{config_path}: no fault found\n"
