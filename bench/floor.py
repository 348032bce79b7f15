"""Debian's own python3: the interpreter that the milter and the in-process figures run on.

Who calls: world, tracker and servers (to start what is measured), and the experiments with a
worker, whatever interpreter the bench itself runs on.  Promises: what is missing is told in one
line.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from bench.experiment import BenchFault, Values
from support.installation import REPOSITORY, Programs

PYTHON = "/usr/bin/python3"
_MODULES = {
    "Milter": "python3-milter",
    "cryptography": "python3-cryptography",
    "idna": "python3-idna",
    "bs4": "python3-bs4",
    "click": "python3-click",
    "rich": "python3-rich",
    "twisted": "python3-twisted",
    "treq": "python3-treq",
    "dns": "python3-dnspython",
}
_FOLDERS = (".", "core", "milter", "tests")


@cache
def missing_reason() -> str:
    """Say which of Debian's packages is missing; empty where all are there."""
    if not Path(PYTHON).exists():
        return f"no {PYTHON}: Debian's package python3 is needed"
    found = (
        "import importlib.util as u, sys; print(*(m for m in sys.argv[1:] if not u.find_spec(m)))"
    )
    done = subprocess.run(
        [PYTHON, "-P", "-c", found, *_MODULES], capture_output=True, text=True, check=False
    )
    packages = " ".join(_MODULES[name] for name in done.stdout.split())
    return f"for {PYTHON} these Debian packages are needed: {packages}" if packages else ""


def module_missing(module: str, package: str) -> str:
    """Say which Debian package holds a module that `PYTHON` does not find; empty where it does."""
    program = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    done = subprocess.run([PYTHON, "-P", "-c", program], check=False)
    return f"no {module}: Debian's package {package} is needed" if done.returncode else ""


def version() -> str:
    """Return what the interpreter calls itself."""
    done = subprocess.run([PYTHON, "-V"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def on_floor(programs: Programs) -> Programs:
    """Return programs that run from source, on Debian's python3 instead of this interpreter."""
    milter, sidecar, openclick = (
        (PYTHON, *argv[1:]) for argv in (programs.milter, programs.sidecar, programs.openclick)
    )
    return dataclasses.replace(programs, milter=milter, sidecar=sidecar, openclick=openclick)


def run_worker(module: str, *arguments: str, timeout: float = 300.0) -> Values:
    """Run a module of bench.workers and return the values that it printed.  Raises BenchFault."""
    if missing_reason():
        raise BenchFault(missing_reason())
    argv = [PYTHON, "-P", "-m", f"bench.workers.{module}", *arguments]
    try:
        done = subprocess.run(
            argv,
            cwd="/",
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchFault(f"{module} {' '.join(arguments)}: not done in {timeout:g} s") from error
    if done.returncode != 0:
        raise BenchFault(f"{module}: {_last_line(done.stderr)}")
    values: dict[str, float] = json.loads(done.stdout)
    return values


def program_missing(programs: Mapping[str, str], path: Sequence[str]) -> str:
    """Say which Debian package holds a program that is not there; `programs` maps to packages."""
    for program, package in programs.items():
        if shutil.which(program, path=":".join(path)) is None:
            return f"no {program} command found: Debian's package {package} is needed"
    return ""


def environment() -> dict[str, str]:
    """Return what a process needs around it to find this checkout's modules, and Debian's."""
    folders = ":".join(str(REPOSITORY / folder) for folder in _FOLDERS)
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "ended without a word"
