"""Runs the `openclick` command inside a test: settings, store and keys in a directory of its own.

Who calls: tests of subcommands.  Promises: no process, no port; standard input and output are
bytes, as a shell would see them; a domain is added only where a test adds it.
"""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openclick.domains import SendingDomain
from openclick.keys import load_keys, rotate_keys
from openclick.messages import Message
from openclick.store import Store, open_store
from openclick.tokens import KeyRing
from openclick_admin.main import main


@dataclass(frozen=True)
class Done:
    """How a call ended."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.out.decode("utf-8")

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


NOBODY_IS_ASKED = """
[dns]
nameservers = ["127.0.0.1:53"]
[sidecar]
metrics_listen = []
"""
"""Settings of a machine that has no public name, so that a check ends before anybody is asked."""


def call_this_machine(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Take Postfix and its name for this machine away, whatever it has, and give it another."""
    monkeypatch.setattr("openclick.public_name._PATH", "")
    monkeypatch.setattr("socket.gethostname", lambda: name)


class CommandLine:
    """One installation below `directory`, with a key, and the command that works on it."""

    def __init__(
        self,
        directory: Path,
        monkeypatch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[bytes],
    ) -> None:
        self.config_path = directory / "openclick.toml"
        self.keys = directory / "keys"
        self.store: Store = open_store(f"sqlite:{directory}")
        self._monkeypatch = monkeypatch
        self._capture = capture
        self.keys.mkdir()
        rotate_keys(str(self.keys))
        self.configure()

    def configure(self, *lines: str) -> None:
        """Write the settings, `lines` last."""
        text = f'[store]\nurl = "sqlite:{self.store.directory}"\n[keys]\ndirectory = "{self.keys}"'
        self.config_path.write_text("\n".join((text, *lines)), "utf-8")

    @property
    def ring(self) -> KeyRing:
        """The keys."""
        return load_keys(str(self.keys))

    def add(self, domain: SendingDomain, *, verified: bool = True) -> None:
        """Add a sending domain."""
        with closing(self.store.registry(owner=True)) as registry:
            registry.domains.add(domain)
            if verified:
                registry.domains.record_verified(domain.name, 1)

    def record(self, *messages: Message) -> None:
        """Write message rows, as the milter does."""
        with closing(self.store.message_log()) as log:
            log.record(messages)

    def __call__(self, *args: str, stdin: bytes = b"", columns: int = 80) -> Done:
        """Run `openclick ARGS`."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._monkeypatch.setenv("COLUMNS", str(columns))
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(self._argv(args))
        captured = self._capture.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err.decode("utf-8"))

    def _argv(self, args: Sequence[str]) -> list[str]:
        named = "--config" in args
        return [*args] if named else ["--config", str(self.config_path), *args]
