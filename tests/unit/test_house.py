"""The house's rules, checked on the source itself: arrows, doors, names, docstrings, lengths.

Standard library only.  Each failure lists its offenders as path:line, so that it can be mended
without reading this file.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "openclick": "core/openclick",
    "openclick_milter": "milter/openclick_milter",
    "openclick_sidecar": "sidecar/openclick_sidecar",
    "openclick_admin": "admin/openclick_admin",
}
ARROWS = {
    "openclick": set[str](),
    "openclick_milter": {"openclick"},
    "openclick_sidecar": {"openclick"},
    "openclick_admin": {"openclick", "openclick_milter", "openclick_sidecar"},
}
DOORS = {
    "Milter": ["milter/openclick_milter/callbacks.py"],
    "treq": ["sidecar/openclick_sidecar/post.py"],
    "dns": ["sidecar/openclick_sidecar/resolver.py"],
    "cryptography": ["core/openclick/aes_siv.py", "sidecar/openclick_sidecar/certificates.py"],
    "sqlite3": ["core/openclick/store/*.py"],
    "psycopg": ["core/openclick/store/*.py"],
    "bs4": ["admin/openclick_admin/explain.py"],
    "OpenSSL": ["sidecar/openclick_sidecar/tls.py"],
    "acme": ["sidecar/openclick_sidecar/acme_client.py"],
    "josepy": ["sidecar/openclick_sidecar/acme_client.py"],
    "prometheus_client": ["sidecar/openclick_sidecar/metrics.py"],
    "requests": ["sidecar/openclick_sidecar/acme_client.py"],
}

UNWANTED = {
    "core/openclick": ("Milter", "milter", "twisted", "treq", "bs4", "dns", "OpenSSL", "click"),
    "milter/openclick_milter": ("twisted", "treq", "bs4", "html.parser", "dns", "click", "rich"),
    "sidecar/openclick_sidecar": ("Milter", "milter", "click", "rich"),
}
EMPTY_NAMES = re.compile(r"(?:mime|html|utils?|helpers?|manager|common)\Z")
MACHINE_PATH = re.compile(rf"(?<![\w.)}}*])/(?:{'|'.join(('root', 'work', 'farm', 'home'))})/")
SQL = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE FROM|PRAGMA|CREATE TABLE|BEGIN IMMEDIATE)\b")
POSSESSIVE = re.compile(r"(?<!\\)[*+?}]\+")

FUNCTION_LINES = 60
MODULE_LINES = 400
MILTER_MEBIBYTES = 40


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below `folders`, by name."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def house_files() -> list[Path]:
    """Return the Python files of the four packages."""
    return python_files(*PACKAGES.values())


def own_files() -> list[Path]:
    """Return every Python file that people of this project wrote."""
    return python_files("core", "milter", "sidecar", "admin", "tests", "contrib", "bench", "docs")


def name_of(path: Path) -> str:
    """Return a path as the messages of this file show it."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of all that a file imports, inside functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def importers_of(module: str, paths: list[Path]) -> list[str]:
    """Return where `module`, or something below it, is imported."""
    return sorted(
        {
            f"{name_of(path)}:{line}"
            for path in paths
            for name, line in imports_of(path)
            if name == module or name.startswith(f"{module}.")
        }
    )


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions and methods of a file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def texts_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (text, line) of the string and bytes constants of a file that are no docstring."""
    tree = tree_of(path)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in bare:
            if isinstance(node.value, str):
                yield node.value, node.lineno
            elif isinstance(node.value, bytes):
                yield node.value.decode("latin-1"), node.lineno


def tracked_files() -> list[Path]:
    """Return the files that are, or are about to be, under version control."""
    if shutil.which("git"):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        if listed.returncode == 0:
            names = listed.stdout.decode().rstrip("\0").split("\0")
            return [path for name in names if (path := ROOT / name).is_file()]
    places = ("core", "milter", "sidecar", "admin", "tests", "docs", "contrib", "packaging")
    return [path for place in places for path in (ROOT / place).rglob("*") if path.is_file()]


@pytest.mark.parametrize("package", ARROWS)
def test_arrows_point_downward(package: str) -> None:
    """Core stands on nothing of ours, a daemon on core alone, and nothing stands on the command."""
    forbidden = set(PACKAGES) - ARROWS[package] - {package}
    paths = python_files(PACKAGES[package])

    wrong = [place for module in forbidden for place in importers_of(module, paths)]

    assert wrong == []


@pytest.mark.parametrize("folder", UNWANTED)
def test_a_package_loads_nothing_that_is_not_its_business(folder: str) -> None:
    """Core knows no framework, the milter nothing of HTTP or bs4, the sidecar nothing of Milter."""
    paths = python_files(folder)

    wrong = [place for module in UNWANTED[folder] for place in importers_of(module, paths)]

    assert wrong == []


@pytest.mark.parametrize("module", DOORS)
def test_a_dependency_has_one_door(module: str) -> None:
    """What depends on a library's ways stands in one module, so that another can replace it."""
    places = importers_of(module, house_files())

    wrong = [
        place
        for place in places
        if not any(Path(place.rpartition(":")[0]).match(door) for door in DOORS[module])
    ]

    assert wrong == []


def test_sql_stands_in_the_store_alone() -> None:
    """Nothing outside openclick.store knows what the store is made of."""
    outside = [path for path in house_files() if "store" not in path.parent.parts]

    wrong = [
        f"{name_of(path)}:{line}"
        for path in outside
        for text, line in texts_of(path)
        if SQL.match(text)
    ]

    assert wrong == []


def test_nobody_imports_milter_in_lower_case() -> None:
    """`import milter` succeeds silently on our own folder where pymilter is missing."""
    assert importers_of("milter", own_files()) == []


def test_no_folder_shadows_pymilters_extension() -> None:
    """An `__init__.py` in milter/, or a test folder of that name, hides the C module milter."""
    folders = ("core", "milter", "sidecar", "admin")

    packages = [folder for folder in folders if (ROOT / folder / "__init__.py").exists()]
    shadows = [name_of(path) for path in (ROOT / "tests").rglob("milter") if path.is_dir()]

    assert (packages, shadows) == ([], [])


def test_module_names_say_something() -> None:
    """Nor does a module take a name of pymilter's (mime) or of the standard library's (html)."""
    wrong = [name_of(path) for path in own_files() if EMPTY_NAMES.match(path.stem)]
    wrong += [name_of(path) for path in own_files() if EMPTY_NAMES.match(path.parent.name)]

    assert wrong == []


def test_a_milter_process_is_small() -> None:
    """It loads neither Twisted nor treq nor bs4, and stays below 40 MiB once all is imported."""
    pytest.importorskip("Milter", reason="needs pymilter, which this interpreter lacks")
    # VmHWM rather than ru_maxrss, which would count the test runner that has forked this process.
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import openclick_milter.main, openclick_milter.callbacks\n"
        "peak = [l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM:')][0]\n"
        "print(peak, *{'twisted', 'treq', 'bs4'} & set(sys.modules))\n"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(ROOT / "core"), str(ROOT / "milter")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    peak_kibibytes, *heavy = done.stdout.split()
    assert heavy == []
    assert int(peak_kibibytes) < MILTER_MEBIBYTES * 1024


def test_no_possessive_quantifier_in_the_milter() -> None:
    """On Python 3.11.2 (Debian 12) they silently match nothing; atomic groups are right there."""
    wrong = [
        f"{name_of(path)}:{line}: {text[:60]!r}"
        for path in python_files("milter")
        for text, line in texts_of(path)
        if POSSESSIVE.search(text)
    ]

    assert wrong == []


def test_every_module_opens_with_a_docstring() -> None:
    """It says what the module is, who calls it, what it promises and where its limits are."""
    wrong = [name_of(path) for path in own_files() if not ast.get_docstring(tree_of(path))]

    assert wrong == []


def test_every_test_has_a_docstring() -> None:
    """A test's name is the case, its docstring the promise."""
    wrong = [
        f"{name_of(path)}:{function.lineno}: {function.name}"
        for path in python_files("tests")
        for function in functions_of(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]

    assert wrong == []


def test_no_test_module_imports_another() -> None:
    """What two of them need stands in a module of its own, so that either can move alone."""
    wrong = [
        f"{name_of(path)}:{line}"
        for path in python_files("tests")
        for name, line in imports_of(path)
        if re.search(r"(?:^|\.)test_\w+\Z", name) and name.startswith(("unit.", "functional."))
    ]

    assert wrong == []


def test_every_coroutine_test_is_run() -> None:
    """Debian 12's pytest-twisted passes a bare `async def` test without running it."""
    wrong = [
        f"{name_of(path)}:{function.lineno}: {function.name}"
        for path in python_files("tests")
        for function in functions_of(path)
        if isinstance(function, ast.AsyncFunctionDef)
        and function.name.startswith("test_")
        and not any("ensureDeferred" in ast.dump(mark) for mark in function.decorator_list)
    ]

    assert wrong == []


def test_no_path_of_a_developers_machine() -> None:
    """What works only where it was written does not belong into the repository."""
    wrong = [
        f"{name_of(path)}:{number}: {text.strip()[:80]}"
        for path in tracked_files()
        for number, text in enumerate(path.read_text("latin-1").split("\n"), start=1)
        if MACHINE_PATH.search(text)
    ]

    assert wrong == []


def test_functions_are_short() -> None:
    """Sixty lines are the bound; most have fewer than twenty-five."""
    wrong = [
        f"{name_of(path)}:{function.lineno}: {function.name} has {lines} lines"
        for path in own_files()
        for function in functions_of(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    ]

    assert wrong == []


def test_modules_are_short() -> None:
    """Four hundred lines are the bound, for a list of cases too: it is split by topic."""
    wrong = [
        f"{name_of(path)} has {lines} lines"
        for path in own_files()
        if (lines := len(path.read_text("utf-8").splitlines())) > MODULE_LINES
    ]

    assert wrong == []
