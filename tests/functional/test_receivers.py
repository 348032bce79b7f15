"""The receivers for customers, in Python, Node and PHP, each against real deliveries."""

import http.client
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from openclick.instants import iso, now
from openclick_sidecar.dispatcher import request_fields
from support.installation import REPOSITORY, Installation
from support.processes import LOOPBACK, Daemon, free_port, port_listens, wait_until
from support.webhook_books import id_of, log_events

FOLDER = REPOSITORY / "contrib" / "receivers"
LANGUAGES = {
    "python": ("python3", "receiver.py", "{port}"),
    "node": ("node", "receiver.mjs", "{port}"),
    "php": ("php", "-S", f"{LOOPBACK}:{{port}}", "receiver.php"),
}
EVENTS = 250
BODY = b'{"batch_id":"b1","timestamp":1,"events":[{"id":"evt_forged","type":"email.clicked"}]}'


class RunningReceiver:
    """One receiver in its own process, with the secret that it was given."""

    def __init__(self, language: str, directory: Path, port: int, secret: str) -> None:
        program, *args = LANGUAGES[language]
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed")  # the language of that receiver
        argv = [
            str(FOLDER / each) if each.startswith("receiver.") else each.format(port=port)
            for each in args
        ]
        self.port = port
        self.daemon = Daemon(
            [found, *argv],
            log_path=directory / f"{language}.log",
            name=f"receiver in {language}",
            env={
                "PATH": os.environ["PATH"],
                "WEBHOOK_SECRET": secret,
                "WEBHOOK_SEEN": str(directory / f"{language}.seen"),
            },
        )
        self.daemon.wait_ready(lambda: port_listens(port), timeout=20)

    def printed(self) -> list[str]:
        """Return the ids of the events that it has printed."""
        return re.findall(r"^(evt_\w+) email\.clicked$", self.daemon.log_text(), re.MULTILINE)

    def post(self, body: bytes, fields: dict[str, str]) -> int:
        """Post by hand; return the status."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=20)
        try:
            connection.request("POST", "/", body, fields)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receiver_takes_real_deliveries(
    installation: Installation, tmp_path: Path, language: str
) -> None:
    """Each event once, although the batches come twice; during a rotation with the old secret."""
    port, since = free_port(), iso(now())
    added = installation.openclick_json("webhook", "add", f"http://{LOOPBACK}:{port}/in")
    running = RunningReceiver(language, tmp_path, port, added["signing_secret"])
    first = list(LANGUAGES).index(language) * 10_000
    numbers = range(first, first + EVENTS)
    try:
        log_events(installation.store, numbers[:100])
        wait_until(lambda: len(running.printed()) == 100, 30, "the first events", 0.1)
        installation.openclick("webhook", "rotate-secret", added["id"])
        log_events(installation.store, numbers[100:])
        wait_until(lambda: len(running.printed()) >= EVENTS, 30, "all events", 0.1)
        installation.openclick("webhook", "replay", added["id"], "--since", since)
        wait_until(lambda: delivered(installation, added["id"], EVENTS * 2), 30, "replayed", 0.1)

        assert sorted(running.printed()) == sorted(id_of(number) for number in numbers)
        refuses_what_is_not_ours(running, added["signing_secret"])
    finally:
        running.daemon.close()
        installation.openclick("webhook", "remove", added["id"])


def delivered(installation: Installation, webhook_id: str, count: int) -> bool:
    """Tell whether so many events of deliveries were delivered, and none is pending."""
    listed = installation.openclick_json("webhook", "deliveries", webhook_id)
    states = {each["state"] for each in listed}
    return states == {"delivered"} and sum(each["events"] for each in listed) >= count


def refuses_what_is_not_ours(running: RunningReceiver, secret: str) -> None:
    """Post what is forged, changed, old or unsigned: 400 each, and nothing is printed."""
    stamp = int(time.time())
    good = request_fields((secret,), "b1", stamp, BODY)
    old = request_fields((secret,), "b1", stamp - 301, BODY)
    ahead = request_fields((secret,), "b1", stamp + 400, BODY)
    forged = request_fields(("whsec_b3RoZXI=",), "b1", stamp, BODY)
    upper = good | {"Anypost-Signature": good["Anypost-Signature"].upper()}
    restamped = good | {"Anypost-Signature": good["Anypost-Signature"].replace("t=1", "t=2", 1)}
    cases = [
        *((BODY, fields) for fields in (old, ahead, forged, upper, restamped)),
        (BODY.replace(b"forged", b"other1"), good),
        *(
            (BODY, {"Anypost-Signature": header})
            for header in ("", "t=,v1=", f"t={stamp}", "v1=00", f"t={stamp},v1=", "nonsense,,=")
        ),
        (BODY, {}),
    ]

    statuses = [running.post(body, fields) for body, fields in cases]

    assert [400] * len(cases) == statuses
    assert "evt_forged" not in running.daemon.log_text()
    assert 204 == running.post(BODY, good)
