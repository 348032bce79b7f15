"""`make release-check` names what a release lacks, before it spends an hour on tests and builds."""

import shutil
import subprocess
from pathlib import Path

import pytest

from openclick import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST = f"## [{__version__}] - 2026-11-27\n\n### Added\n\n- All of it.\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a small checkout that lacks nothing but its tag."""
    for name in ("packaging", "docs/man"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    shutil.copytree(
        REPOSITORY / "core/openclick",
        tmp_path / "core/openclick",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n{FIRST}", "utf-8")
    # What it goes on to, once nothing is missing, is `make test` and all the rest.
    targets = "test test-packaging deb rpm"
    (tmp_path / "Makefile").write_text(f"{targets}:\n\t@echo made $@\n", "utf-8")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(directory: Path, *argv: str) -> None:
    """Run git there, as nobody in particular."""
    who = ["-c", "user.name=x", "-c", "user.email=x@openclick.example", "-c", "commit.gpgsign=no"]
    subprocess.run(["git", *who, *argv], cwd=directory, check=True, timeout=60)


def commit(directory: Path) -> None:
    """Commit everything."""
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message=x")


def said_by_check(directory: Path) -> tuple[int, list[str]]:
    """Run it there; return its status and its lines without their beginning."""
    done = subprocess.run(
        ["sh", str(directory / "packaging" / "release-check")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = (done.stdout + done.stderr).splitlines()
    return done.returncode, [line.removeprefix("release-check: ") for line in lines]


def test_a_release_is_tested_and_built(checkout: Path) -> None:
    """On its tag, with nothing missing: all of `make test`, `test-packaging`, `deb` and `rpm`."""
    git(checkout, "tag", f"v{__version__}")

    status, said = said_by_check(checkout)

    made = [f"made {name}" for name in ("test", "test-packaging", "deb", "rpm")]
    assert (status, said) == (0, [*made, f"{__version__} is ready in dist"])


def test_a_commit_without_its_tag(checkout: Path) -> None:
    """It says which."""
    status, said = said_by_check(checkout)

    assert status == 1
    assert said[0].endswith(f"need the tag v{__version__} on it")
    assert said[1] == "faults: 1; nothing was built"


def test_everything_that_is_missing_is_told_at_once(checkout: Path) -> None:
    """One line a fault, in one run."""
    (checkout / "CHANGELOG.md").write_text("## [Unreleased]\n\n- New.\n\n## [0.0.1]\n", "utf-8")
    (checkout / "docs/man/openclick.1").unlink()
    (checkout / "docs/man/openclick-milter.8").write_text(".TH X 8\n\\f(ZZ?\n.nosuch\n", "utf-8")
    page = checkout / "docs/man/openclick.toml.5"
    page.write_text(page.read_text("utf-8").replace(f"OpenClick {__version__}", "OpenClick 0.0.1"))
    commit(checkout)
    (checkout / "new").touch()

    status, said = said_by_check(checkout)

    assert (status, [line.partition(":")[0] for line in said]) == (
        1,
        [
            "docs/man/openclick.1 is missing",
            f"docs/man/openclick.toml.5 is of another version than {__version__}",
            "docs/man/openclick-milter.8",
            f"CHANGELOG.md has no heading for {__version__}",
            "CHANGELOG.md",
            "files are not committed",
            said[6].partition(":")[0],
            "faults",
        ],
    )
