"""Debian's Chromium, headless, on a network that is this machine alone.

Who calls: functional tests of what readers' browsers see. Promises: every name leads to where the
test says, and no other name leads anywhere; a CA of the test's is trusted as an admin would have it
trusted, in the profile's own store; nothing of the user's profile is touched. Limits: as root
Chromium runs without its sandbox.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

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
    """One browser. `places` maps HOST:PORT, as URLs have it, to ADDRESS:PORT.

    Without `root_pem` no CA of the test's is trusted.
    """

    def __init__(self, root_pem: bytes, places: Mapping[str, str]) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="openclick-chromium-"))
        if root_pem:
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
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        environment = {**os.environ, "HOME": str(self._home)}
        self.driver = webdriver.Chrome(options=options, service=Service(_DRIVER, env=environment))
        self.driver.set_page_load_timeout(_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.driver.quit()
        shutil.rmtree(self._home, ignore_errors=True)

    def look(self, width: int, scheme: str) -> None:
        """Show pages at a width in pixels, "light" or "dark"."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False},
        )

    def requested(self) -> list[str]:
        """Return the URLs that were asked for since the last call, whatever came of it."""
        events = [json.loads(each["message"])["message"] for each in self._log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return what the console has said since the last call."""
        return [str(each["message"]) for each in self._log("browser")]

    def _log(self, name: str) -> list[dict[str, Any]]:
        driver: Any = self.driver  # its logs are not typed
        found: list[dict[str, Any]] = driver.get_log(name)
        return found

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
