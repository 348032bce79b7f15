"""What is built: the same bytes each time, and nothing that the distributions' checkers refuse."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import MACROS

REPOSITORY = Path(__file__).resolve().parents[2]
CONTRIB = REPOSITORY / "contrib"
UNITS = REPOSITORY / "packaging" / "systemd"
EXPOSURES = {"openclick-milter": 15, "openclick-sidecar": 20, "openclick-init": 20}
"""The most that `systemd-analyze security` may find, in tenths."""


def said_by(*argv: str) -> str:
    """Run a checker; return what it says, and fail where its status does."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def missing_pages() -> list[str]:
    """Return the manual pages that are not in this checkout."""
    pages = ("openclick.1", "openclick.toml.5", "openclick-milter.8", "openclick-sidecar.8")
    return [page for page in pages if not (REPOSITORY / "docs" / "man" / page).exists()]


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each package and source archive of a build."""
    paths = [path for kind in ("*.deb", "*.tar.xz", "*.dsc") for path in folder.glob(kind)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_two_builds_are_the_same(
    current: Path, deb_builder: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Byte for byte: whoever doubts a package can build it again."""
    again = deb_builder(tmp_path / "again")

    assert digests(again) == digests(current)
    assert len(digests(again)) == 6


def test_the_binary_packages(current: Path) -> None:
    """One a folder of the source, for every architecture."""
    names = sorted(path.name.split("_")[0] for path in current.glob("*_all.deb"))

    assert names == ["openclick", "openclick-milter", "openclick-sidecar", "python3-openclick"]


def test_no_package_asks_a_question(current: Path) -> None:
    """None has debconf's templates or a config script."""
    asking = [
        path.name
        for path in current.glob("*_all.deb")
        for listed in [said_by("dpkg-deb", "--info", str(path))]
        if re.search(r" (config|templates)\b", listed.partition(" Package:")[0])
    ]

    assert asking == []


def test_lintian_has_no_complaint(current: Path) -> None:
    """Neither an error nor a warning; pages that are not written yet are `make release-check`'s."""
    [changes] = current.glob("*.changes")
    options = ["--suppress-tags", "no-manual-page"] if missing_pages() else []

    said_by("lintian", "--allow-root", "--fail-on", "error,warning", *options, str(changes))


def test_rpmlint_finds_no_error(rpm: Path) -> None:
    """With a short list of what may be, and why, in openclick.rpmlintrc."""
    [package] = rpm.glob("*.noarch.rpm")
    reasons = REPOSITORY / "packaging" / "rpm" / "openclick.rpmlintrc"

    spec = str(rpm / "openclick.spec")
    said = said_by("rpmlint", "--rpmlintrc", str(reasons), str(package), spec)

    assert " 0 errors" in said


@pytest.mark.parametrize("target", [("rhel 10", "dist .el10"), ("fedora 44", "dist .fc44")])
@pytest.mark.parametrize("branch", ["default", "distribution"])
def test_the_spec_is_one_for_all(rpm: Path, target: tuple[str, str], branch: str) -> None:
    """It parses for EL10 and Fedora, both ways; the macros that Debian lacks are stand-ins."""
    options = [word for macro in target for word in ("--define", macro)]
    if branch == "distribution":
        options += ["--with", "distribution", "--load", str(MACROS)]

    said = said_by("rpmspec", "--parse", *options, str(rpm / "openclick.spec"))

    assert f"Release:        1{target[1].removeprefix('dist ')}" in said
    assert ("python3-treq >= 22.2" in said) == (branch == "distribution")
    assert ("bundled(python3dist(treq))" in said) == (branch == "default")


def test_a_distributions_own_branch_is_built(rpm: Path, distribution: Path) -> None:
    """With the code where its Python looks, nothing vendored, and all else as in ours."""
    [ours], [theirs] = rpm.glob("*.noarch.rpm"), distribution.glob("*.noarch.rpm")
    private = ("/usr/share/openclick", "/usr/share/licenses/openclick/treq-")

    files = {
        package: said_by("rpm", "--query", "--list", "--package", str(package)).split()
        for package in (ours, theirs)
    }
    needed = said_by("rpm", "--query", "--requires", "--package", str(theirs))

    code = [name for name in files[theirs] if "-packages/openclick" in name]
    assert any(name.endswith("-packages/openclick_milter/main.py") for name in code)
    assert any(name.endswith(".dist-info/METADATA") for name in code)
    assert sorted(set(files[theirs]) - set(code)) == sorted(
        name for name in files[ours] if not name.startswith(private)
    )
    assert "python3-treq >= 22.2" in needed


def test_the_examples_are_in_each_package(current: Path, rpm: Path) -> None:
    """What contrib has for admins, and nothing that developers alone need."""
    [deb] = current.glob("openclick_*_all.deb")
    [package] = rpm.glob("*.noarch.rpm")
    wanted = {
        f"examples/{path.relative_to(CONTRIB)}"
        for path in CONTRIB.rglob("*")
        if path.is_file() and path.relative_to(CONTRIB).parts[0] not in ("demo", "dev")
    }

    in_deb = said_by("dpkg-deb", "--contents", str(deb))
    in_rpm = said_by("rpm", "--query", "--list", "--package", str(package))

    for listed in (in_deb, in_rpm):
        found = {line[line.index("examples/") :] for line in listed.split() if "examples/" in line}
        assert sorted(wanted - found) == []
        assert [name for name in found if name.startswith(("examples/demo", "examples/dev"))] == []


def test_the_rpm_is_for_every_python(rpm: Path) -> None:
    """No path names a version, nothing is compiled, and what is vendored has its licence."""
    [package] = rpm.glob("*.noarch.rpm")

    files = said_by("rpm", "--query", "--list", "--package", str(package)).split()

    assert [name for name in files if "python3." in name or name.endswith(".pyc")] == []
    assert [name for name in files if "/licenses/openclick/treq-" in name] != []


@pytest.mark.parametrize("unit", EXPOSURES)
def test_units_are_closed(unit: str) -> None:
    """Most milters that admins know come to more than nine of ten."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")  # only systemd rates its units

    said_by(
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={EXPOSURES[unit]}",
        str(UNITS / f"{unit}.service"),
    )
