"""--check-config of both daemons, as an admin meets it: 78 with file and line, 0 for our samples.

What each value may be is in test_settings.py, how faults are told in test_config.py.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from openclick.config import sample_config
from openclick_milter.main import main as milter
from openclick_sidecar.main import main as sidecar

ROOT = Path(__file__).resolve().parents[2]
DAEMONS = {"openclick-milter": milter, "openclick-sidecar": sidecar}
BROKEN: dict[str, tuple[int, str]] = {
    "a word of no section": (1, "tracking = true"),
    "an unknown section": (2, "\n[milters]\nsocket = 'unix:/x'"),
    "an unknown option": (2, "[milter]\nsokcet = 'unix:/x'"),
    "an option of another section": (2, "[sidecar]\nsocket = 'unix:/x'"),
    "an option twice": (3, "[links]\nport = 1\nport = 2"),
    "a section twice": (3, "[links]\nport = 1\n[links]\nhttps_port = 2"),
    "no value": (2, "[links]\nport ="),
    "no quotes": (2, "[links]\nscheme = http"),
    "an open quote": (2, "[store]\nurl = 'sqlite:/x"),
    "yes for true": (2, "[webhooks]\nallow_http = yes"),
    "text for a number": (2, "[links]\nport = '80'"),
    "a number for text": (2, "[store]\nurl = 1"),
    "text for a list": (2, "[sidecar]\nlisten = '127.0.0.1:80'"),
    "a table for a number": (2, "[links]\nport = { a = 1 }"),
    "a port below nothing": (2, "[links]\nport = -1"),
    "a port past the last": (2, "[links]\nport = 65536"),
    "a scheme that is none": (2, "[links]\nscheme = 'ftp'"),
    "a store that is none": (2, "[store]\nurl = 'mysql://x'"),
    "a relative path": (2, "[keys]\ndirectory = 'keys'"),
    "a socket of no kind": (2, "[milter]\nsocket = '/run/x'"),
    "a network with host bits": (2, "[milter]\ntrusted_networks = ['192.0.2.1/24']"),
    "a network that is a name": (3, "[sidecar]\n# x\ntrusted_proxies = ['proxy.example']"),
    "an address without a port": (2, "[sidecar]\nlisten = ['127.0.0.1']"),
    "a list of numbers": (2, "[dns]\nnameservers = [53]"),
    "a time below nothing": (2, "[sidecar]\nhold_seconds = -1"),
    "a retention of no day": (2, "[retention]\nhits_days = 0"),
    "a level that is none": (2, "[log]\nlevel = 'loud'"),
    "a directory by http": (2, "[acme]\ndirectory_url = 'http://ca.example/'"),
}


@pytest.fixture(params=DAEMONS)
def check(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str]]:
    """Give what runs a daemon's check on a text: its status, and what it says but for the path."""

    def run(text: str) -> tuple[int, str]:
        path = tmp_path / "openclick.toml"
        path.write_text(text, "utf-8")
        with pytest.raises(SystemExit) as ended:
            DAEMONS[request.param](["--config", str(path), "--check-config"])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, (said.out + said.err).replace(str(path), "FILE")

    return run


@pytest.mark.parametrize("name", BROKEN)
def test_broken_settings(check: Callable[[str], tuple[int, str]], name: str) -> None:
    """Status 78 and one line: the file, the line, what was found and what is needed."""
    line, text = BROKEN[name]

    status, said = check(f"{text}\n")

    first, last = said.splitlines()
    assert (status, first[: len(f"FILE:{line}: ")]) == (78, f"FILE:{line}: "), said
    assert last.endswith("not started")


def samples() -> dict[str, str]:
    """Return every piece of openclick.toml that we hand out: files, documents, comments."""
    found = {
        name: (ROOT / name).read_text("utf-8")
        for name in ("docs/openclick.toml", "packaging/openclick.toml")
    }
    found["each option of the sample"] = re.sub(
        r"^#(\w+ = )", r"\1", sample_config(), flags=re.MULTILINE
    )
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        if path.name == "people-and-machines.md":
            continue  # its piece is a file of rules
        blocks = re.findall(
            r"^```toml\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        found |= {f"{path.name} {number}": block for number, block in enumerate(blocks, 1)}
    for path in (ROOT / "contrib" / "proxies").iterdir():
        comment = re.findall(r"^#     (.*\n)", path.read_text("utf-8"), re.MULTILINE)
        found[path.name] = "".join(comment)
    return found


@pytest.mark.parametrize("name", samples())
def test_what_we_hand_out(check: Callable[[str], tuple[int, str]], name: str) -> None:
    """No fault in a sample, nor in what the documents and the proxies' samples ask for."""
    assert check(samples()[name]) == (0, "FILE: no fault found\n")
