"""What the packaging tests share: the builds, made once, and one machine a Debian.

The tests of a file run in the order in which they stand, and those of a machine build upon each
other: installing costs too much to begin anew for each.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
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
    """Folders of .deb files."""

    current: Path
    previous: Path


def build_deb(output: Path, source: Path = REPOSITORY, version: str = "") -> Path:
    """Build the Debian packages of a checkout into `output`, and return it."""
    words = [str(output), str(source), *([version] if version else [])]
    subprocess.run(
        ["sh", str(source / "packaging" / "build-deb"), *words],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=300,
    )
    return output


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
def builds(current: Path, previous: Path) -> Builds:
    """Give both."""
    return Builds(current, previous)


@pytest.fixture(scope="module", params=SUITES)
def machine(request: pytest.FixtureRequest, builds: Builds) -> Iterator[PackagedMachine]:
    """Give a machine with stock Postfix and nothing of ours; the test is on its loopback."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)
    folders = {"current": builds.current, "previous": builds.previous}
    with PackagedMachine(request.param, folders) as made, made.room.network():
        yield made


@pytest.fixture
def needs_debian() -> None:
    """Skip where Debian's build tools are not."""
    if os.geteuid() != 0 or shutil.which("dpkg-buildpackage") is None:
        pytest.skip("needs root and dpkg-buildpackage")
