"""Imports a script that is no part of a package, so that tests can call its functions.

Who calls: tests of docs/generate.py and of scripts in contrib/dev.
"""

import importlib.util
from pathlib import Path
from types import ModuleType


def load_script(path: Path) -> ModuleType:
    """Import the script at `path` under its own name, without entering it in sys.modules."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
