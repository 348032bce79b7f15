"""Debian's Chromium, headless, on a network that is this machine alone.

Who calls: functional tests of what readers' browsers see. Promises: every name leads to where the
test says, and no other name leads anywhere; a CA of the test's is trusted as an admin would have it
trusted, in the profile's own store; nothing of the user's profile is touched. Limits: as root
Chromium runs without its sandbox.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

_CHROMIUM, _DRIVER, _CERTUTIL = "/usr/bin/chromium", "/usr/bin/chromedriver", "certutil"
_PATIENCE_SECONDS = 60


def unavailable_reason() -> str | None:
    """Say what is missing here; None where nothing is."""
    wanted = {
        _CHROMIUM: "chromium",
        _DRIVER: "chromium-driver",
        _CERTUTIL: "libnss3-tools",
    }
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    return f"Debian packages are needed: {' '.join(missing)}" if missing else None


class Browser:
    """One browser. `places` maps HOST:PORT, as URLs have it, to ADDRESS:PORT."""

    def __init__(self, root_pem: bytes, places: Mapping[str, str]) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="openclick-chromium-"))
        self._trust(root_pem)
        options = Options()
        options.binary_location = _CHROMIUM
        rules = [f"MAP {name} {place}" for name, place in places.items()]
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={self._home}/profile",
            f"--host-resolver-rules={', '.join([*rules, 'MAP * ~NOTFOUND'])}",
            "--no-proxy-server",
        ):
            options.add_argument(argument)
        environment = {**os.environ, "HOME": str(self._home)}
        self.driver = webdriver.Chrome(options=options, service=Service(_DRIVER, env=environment))
        self.driver.set_page_load_timeout(_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.driver.quit()
        shutil.rmtree(self._home, ignore_errors=True)

    def _trust(self, root_pem: bytes) -> None:
        store = self._home / ".pki" / "nssdb"
        store.mkdir(parents=True)
        root = self._home / "root.pem"
        root.write_bytes(root_pem)
        database = ("-d", f"sql:{store}")
        for words in (
            ("-N", "--empty-password"),
            ("-A", "-n", "test", "-t", "C,,", "-i", str(root)),
        ):
            subprocess.run([_CERTUTIL, *database, *words], check=True, capture_output=True)
