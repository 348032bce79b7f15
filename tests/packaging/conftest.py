"""What the packaging tests share: the builds, made once, and one machine a Debian.

The tests of a file run in the order in which they stand, and those of a machine build upon each
other: installing costs too much to begin anew for each.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.packaged_machine import PackagedMachine
from support.room import unavailable_reason

REPOSITORY = Path(__file__).resolve().parents[2]
PREVIOUS = "7818f72a4db7402455f571a5b5dbc2371a3adc8a"
"""The commit that upgrades begin from: the release before this one, once there is one."""

SUITES = ("bookworm", "trixie")


@dataclass(frozen=True)
class Builds:
    """Folders of .deb files, and one of an rpm."""

    current: Path
    previous: Path
    rpm: Path


def build_deb(output: Path, source: Path = REPOSITORY, version: str = "") -> Path:
    """Build the Debian packages of a checkout into `output`, and return it."""
    _run("build-deb", source, str(output), str(source), *([version] if version else []))
    return output


def _run(script: str, source: Path, *args: str) -> None:
    subprocess.run(
        ["sh", str(source / "packaging" / script), *args],
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        timeout=300,
        check=True,
    )


@pytest.fixture
def deb_builder() -> Callable[[Path], Path]:
    """Give what builds this checkout once more."""
    return build_deb


@pytest.fixture(scope="session")
def current(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build this checkout."""
    return build_deb(tmp_path_factory.mktemp("current"))


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what upgrades begin from; in a checkout without history, this one as an older one."""
    source = tmp_path_factory.mktemp("source")
    archive = subprocess.run(
        ["git", "archive", PREVIOUS], cwd=REPOSITORY, capture_output=True, check=False
    )
    if archive.returncode != 0:
        return build_deb(tmp_path_factory.mktemp("previous"), version="0.0.0~previous")
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    return build_deb(tmp_path_factory.mktemp("previous"), source, "0.0.0~previous")


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build this checkout as an rpm."""
    output = tmp_path_factory.mktemp("rpm")
    _run("build-rpm", REPOSITORY, str(output))
    return output


@pytest.fixture(scope="session")
def builds(current: Path, previous: Path, rpm: Path) -> Builds:
    """Give all of them."""
    return Builds(current, previous, rpm)


@pytest.fixture(scope="session", params=SUITES)
def machine(request: pytest.FixtureRequest, builds: Builds) -> Iterator[PackagedMachine]:
    """Give a machine with stock Postfix and nothing of ours."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)  # not root, or no room to be had here
    folders = {"current": builds.current, "previous": builds.previous, "rpm": builds.rpm}
    with PackagedMachine(request.param, folders) as made:
        yield made


@pytest.fixture(autouse=True)
def _on_the_machines_loopback(request: pytest.FixtureRequest) -> Iterator[None]:
    if "machine" not in request.fixturenames:
        yield
        return
    with request.getfixturevalue("machine").room.network():
        yield
