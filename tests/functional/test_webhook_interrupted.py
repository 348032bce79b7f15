"""Ctrl-C while `openclick webhook test` waits."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.dns_server import DnsServer
from support.processes import wait_until
from support.rude_endpoint import RudeEndpoint

ENV = {"PYTHONPATH": os.pathsep.join(sys.path)}
HOST = "hooks.kontor.example"
SETTINGS = """\
[store]
url = "sqlite:///{directory}/store"
[keys]
directory = "{directory}/keys"
[dns]
nameservers = ["{name_server}"]
[webhooks]
allow_http = true
allow_private_networks = ["127.0.0.0/8"]
"""


@pytest.mark.parametrize("waits_for", ["name server", "answer"])
def test_an_interrupted_test_delivery(tmp_path: Path, waits_for: str) -> None:
    """Ends at once with a word and the status of shells, whatever it waited for."""
    config = tmp_path / "openclick.toml"
    openclick = [sys.executable, "-m", "openclick_admin", "--config", str(config)]
    end = threading.Event()
    with DnsServer() as names, RudeEndpoint(lambda _peer: bool(end.wait(60))) as endpoint:
        settings = SETTINGS.format(directory=tmp_path, name_server=f"{names.host}:{names.port}")
        config.write_text(settings)
        names.set(HOST, "A", "127.0.0.1")
        names.set_silent(HOST, waits_for == "name server")
        subprocess.run(
            [*openclick, "init", "--group", str(os.getgid())],
            check=True,
            capture_output=True,
            env=ENV,
        )
        added = subprocess.run(
            [*openclick, "webhook", "add", "--json", endpoint.url(HOST)],
            check=True,
            capture_output=True,
            env=ENV,
        )
        waiting = names.queries if waits_for == "name server" else endpoint.requests
        process = subprocess.Popen(
            [*openclick, "webhook", "test", "--json", json.loads(added.stdout)["id"]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENV,
        )
        wait_until(lambda: bool(waiting), 30, "the test delivery")

        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=30)
        end.set()

    assert ("", "openclick: ended before there was an answer\n", 130) == (
        printed,
        said,
        process.returncode,
    )
