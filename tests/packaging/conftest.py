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

MACROS = Path(__file__).with_name("data") / "macros.distribution"
"""Stand-ins for the macros of Fedora and EL, which Debian's rpmbuild lacks."""

SUITES = ("bookworm", "trixie")


@dataclass(frozen=True)
class Builds:
    """Folders of .deb files, and of an rpm each: ours, and the distributions' own branch."""

    current: Path
    previous: Path
    rpm: Path
    distribution: Path


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
def distribution(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source rpm as a distribution's maintainer does; the macros are stand-ins."""
    [source] = rpm.glob("*.src.rpm")
    top = tmp_path_factory.mktemp("distribution")
    options = ["--nodeps", "--with", "distribution", "--load", str(MACROS)]
    subprocess.run(
        ["rpmbuild", "--quiet", "--rebuild", *options, "--define", f"_topdir {top}", str(source)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(top), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        timeout=300,
        check=True,
    )
    return top / "RPMS" / "noarch"


@pytest.fixture(scope="session")
def builds(current: Path, previous: Path, rpm: Path, distribution: Path) -> Builds:
    """Give all of them."""
    return Builds(current, previous, rpm, distribution)


@pytest.fixture(scope="session", params=SUITES)
def machine(request: pytest.FixtureRequest, builds: Builds) -> Iterator[PackagedMachine]:
    """Give a machine with stock Postfix and nothing of ours."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)  # not root, or no room to be had here
    with PackagedMachine(request.param, vars(builds)) as made:
        yield made


@pytest.fixture(autouse=True)
def _on_the_machines_loopback(request: pytest.FixtureRequest) -> Iterator[None]:
    if "machine" not in request.fixturenames:
        yield
        return
    with request.getfixturevalue("machine").room.network():
        yield
