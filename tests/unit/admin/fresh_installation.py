"""The settings of an installation that `openclick init` may not have seen yet, and the command.

Who calls: tests of this folder, for what is said before anything is there.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from openclick.config import toml_value
from openclick_admin.main import main

GROUP = str(os.getgid())
Run = Callable[..., Result]


def write_config(directory: Path, **sections: dict[str, Any]) -> Path:
    """Write openclick.toml: store and keys in `directory`, and what `sections` add."""
    settings: dict[str, dict[str, Any]] = {
        "store": {"url": f"sqlite:{directory}/store"},
        "keys": {"directory": f"{directory}/keys"},
        "sidecar": {"public_hostname": "mail.openclick.example"},
        **sections,
    }
    path = directory / "openclick.toml"
    path.write_text(
        "".join(
            f"[{section}]\n" + "".join(f"{k} = {toml_value(v)}\n" for k, v in options.items())
            for section, options in settings.items()
        ),
        "utf-8",
    )
    return path


def ended(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Run the whole command; return exit status, standard output and standard error."""
    with pytest.raises(SystemExit) as caught:
        main(args)
    code = caught.value.code
    found = capsys.readouterr()
    return (code if isinstance(code, int) else 1), found.out, found.err
