"""Derives the judge's list of crawlers, crawlers.toml, from two public lists.

    pip install crawler-user-agents                     (MIT)
    npm pack isbot && tar xf isbot-*.tgz                (Unlicense)
    node -p 'JSON.stringify(require("./package").list)' > isbot.json
    python contrib/dev/derive_crawlers.py --isbot isbot.json

Called by a developer, now and then; what it writes is committed, so neither a build nor the sidecar
needs the lists or a network.  `--crawlers FILE` names a crawler-user-agents.json instead of the
installed package's.

Promises: the same lists give the same bytes; what is left out stands below with its reason; a
pattern that cannot be written as plain words, and that nobody has decided on yet, ends the script.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib import metadata, resources
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "sidecar" / "openclick_sidecar"
MIN_CHARS = 4

LEFT_OUT = {
    # Proxies and people of our own table: it knows them better.
    "GoogleImageProxy": "an image proxy",
    "YahooMailProxy": "an image proxy",
    "FastmailUA": "an image proxy",
    "SeznamEmailProxy": "an image proxy",
    "RamblerMail": "an image proxy",
    "StartpagePrivateImageProxy": "an image proxy",
    "YandexImageResizer": "an image proxy",
    "Mail.RU_Bot": "its image side is an image proxy; the rest says bot",
    "Shortwave Image Fetcher": "an image proxy",
    "Shortwave": "an image proxy, and a mail client",
    "github-camo": "an image proxy",
    "Slack-ImgProxy": "an image proxy",
    "hey.com": "an image proxy",
    # Programs with which people follow links.
    "okhttp": "apps open deep links with it",
    "CFNetwork": "apps open deep links with it",
    "Dalvik": "apps open deep links with it",
    "^navermailapp": "a mail client",
    "^email": "Android's old mail client calls itself Email",
    "^yahoo": "Yahoo's mail client for phones",
    "^ddg[_-]android": "a browser",
    "^duckduckgo": "a browser, too",
    "^snapchat": "its in-app browser",
    "^facebook": "too wide: Facebook's own rules stand in our table",
    "^netsurf": "a browser",
    "^amaya": "a browser",
    "offbyone": "a browser",
    "ibisbrowser": "a browser",
    "dmbrowser": "a browser",
    "chromeframe": "an Internet Explorer of 2010 with a plug-in",
    "browsex": "a browser",
    "^jeode": "a browser of Windows CE",
    "torrent": "a program's in-app browser",
    "viber": "its in-app browser",
    "downcast/": "a podcast app",
    "^downcast/": "a podcast app",
    "^reed": "the feed reader Reeder",
    "podimo": "a podcast app",
    "btwebclient": "a program's in-app browser",
    "code/1.": "an editor's in-app browser",
    "fluid": "browsers for one site, on a Mac",
    "firephp": "an add-on of developers",
    # Words that stand in names of phones, apps or people's add-ons.
    "sonic": "Panasonic, and a phone",
    "AP3A.240617.008": "a build of Android",
    "008\\/": "part of a phone's build",
    "sogou": "a browser; its crawlers say spider",
    "fever": "a phone model",
    "butterfly": "a phone model",
    "virtuoso": "a phone model",
    "expanse": "a phone model; our table has the scanner's sentence",
    "spider": "a phone model; our table has it",
    "speedy": "a phone model, and an app",
    "24x7": "part of a phone's build",
    "ning/": "part of Lightning/, a calendar",
    "RED\\/": "part of a word",
    "url": "part of too many words",
    "proxy": "image proxies have it",
    "server": "Windows Server; phone models",
    "tools": "names of add-ons",
    "feed": "in-app browsers of feed readers",
    "library": "names of apps",
    "archive": "names of apps",
    "capture": "phone and camera models",
    "catch": "phone models",
    "detect": "names of add-ons",
    "discovery": "phone models",
    "preview": "Safari Technology Preview; our table has it",
    "download": "names of add-ons and download managers with a browser",
    "insight": "phone models",
    "measure": "names of apps",
    "optimize": "names of browsers",
    "radar": "names of apps",
    "splash": "phone models",
    "advisor": "names of apps",
    "abuse": "nothing in user agents of machines",
    "synapse": "a phone model",
    "rigor": "part of a word",
    "grab": "the app Grab",
    "node\\b": "an app's name",
    "agent\\b": "Mail.Ru Agent",
    "java(?!;)": "feature phones say Java; programs are in our table",
    "\\bort/": "Opera's",
    "\\bbw/": "too short to say anything",
    "\\bdlc\\b": "too short to say anything",
    "\\.com\\b": "our table has the address of a page",
    "@[a-z][\\w-]+\\.": "our table has the mail address",
    "\\|": "user agents of set-top boxes have it",
    "\\(\\)": "browsers on odd systems have it",
    ";\\s\\w+;$": "browsers on odd systems have it",
    "\\btime/": "a phone's field",
    "^whatsapp": "the other list has it",
    "^custom": "people who set their user agent",
    "^track": "too wide",
    "^read": "too wide",
    "^rest": "too wide",
    "^rank": "too wide",
    "^client/": "too wide",
    "^offline": "too wide",
    "(?<! channel/|google/)google(?!(?:wv|app|/google| pixel))": "Google's app and phones",
    "(?:^|[^g])news(?!sapphire)": "in-app browsers of news apps",
    "(?<!lib)http": "addresses of pages; our table has the address of a page",
    "(?<!cam)scan": "our table has it",
    "(?<! cu)bots?(?:\\b|_)": "our table has it",
    "^microsoft bits": "Windows fetches what a person has asked for",
    "^mozilla/\\d\\.\\d\\s[\\w\\.-]+$": "our table has it",
    "^mozilla/\\d\\.\\d\\s\\((?:compatible;)?(?:\\s?[\\w\\d-.]+[\\s/]\\d+\\.\\d+)?\\)$": "ours",
    "^[\\w \\.\\-\\(?:\\):%]+(?:/v?\\d+(?:\\.\\d+)?(?:\\.\\d{1,10})*?)?(?:,|$)": "our table has it",
    "^[\\w\\-]+/[\\w]+$": "our table has it",
    "^[^ ]{50,}$": "our table has it",
    "^\\d+\\b": "our table has it",
    "^\\w*search\\b": "our table has it",
    "^\\w+/[\\w\\(\\)]*$": "our table has it",
    "^\\w+/\\d\\.\\d\\s\\([\\w@]+\\)$": "our table has it",
    "^[<\\(;]": "our table has it",
    "\\b\\w+/1\\.0;": "our table has it",
    "\\bperl\\b": "our table has it",
    "^dispatch/\\d": "in our table's shape of a bare product",
    "^zdm/\\d": "in our table's shape of a bare product",
    "ptst[ /]\\d": "the other list has it",
    "^bot": "our table has it",
    "^BW/": "too short to say anything",
    "BW/": "too short to say anything",
    "ds9": "too short to say anything",
    "^rss": "too short to say anything",
    "rss\\b": "in-app browsers of feed readers",
    " daum[ /]": "Daum's app",
    " deusu/": "the other list has it",
    "GoogleAssociationService$": "Google's app on phones",
}
"""Patterns of the lists that are not taken, and why."""

WRITTEN_OUT = {
    "AdsBot-Google([^-]|$)": ["AdsBot-Google"],
    "(sistrix|SISTRIX) [cC]rawler": ["sistrix crawler"],
    "Ahrefs(Bot|SiteAudit)": ["AhrefsBot", "AhrefsSiteAudit"],
    "(^| )sentry\\/": ["^sentry/", " sentry/"],
    "(^| )PTST\\/": ["^PTST/", " PTST/"],
    "BlogTraffic\\/\\d\\.\\d+ Feed-Fetcher": ["BlogTraffic/"],
    "Automaton|Newsify Feed Fetcher": ["Automaton", "Newsify Feed Fetcher"],
    "Chirp|gotosocial": ["gotosocial"],
    "ContextualBot[\\s\\S]*outcomes\\.net": ["ContextualBot"],
    "Current[\\s\\S]*RSS Reader": [],
    "Netumo|netumo": ["netumo"],
    "Spider[\\s\\S]*spider\\.com": [],
    "SSL Labs$": ["SSL Labs"],
    "^LCC ": ["^LCC "],
    "WhatsApp": ["^WhatsApp/"],
    "Y!J": ["Y!J-"],
    "^php": ["^php/", "^php-", "^phpcrawl"],
    "^svn": ["^svn/"],
    "^w3c": ["^w3c_", "^w3c-"],
    "Blackboard": ["Blackboard Safeassign"],
}
"""Patterns that are no plain words, as words; "^" marks the beginning of a user agent."""


def main() -> None:
    """Read the lists and write crawlers.toml."""
    options = argparse.ArgumentParser(description="Derive the judge's list of crawlers.")
    options.add_argument("--crawlers", type=Path, metavar="FILE", help="crawler-user-agents.json")
    options.add_argument("--isbot", type=Path, required=True, metavar="FILE", help="isbot's list")
    given = options.parse_args()
    text = given.crawlers.read_text("utf-8") if given.crawlers else installed_list()
    patterns = [entry["pattern"] for entry in json.loads(text)]
    words, undecided = derive(patterns + json.loads(given.isbot.read_text("utf-8")))
    if undecided:
        sys.exit("decide on these in LEFT_OUT or WRITTEN_OUT:\n" + "\n".join(undecided))
    (FOLDER / "crawlers.toml").write_text(as_toml(words), "utf-8")


def installed_list() -> str:
    """Return the list of the installed package crawler-user-agents."""
    print("crawler-user-agents", metadata.version("crawler-user-agents"))
    return resources.files("crawleruseragents").joinpath("crawler-user-agents.json").read_text()


def derive(patterns: list[str]) -> tuple[list[str], list[str]]:
    """Return the words that `patterns` stand for, and the patterns that nobody has decided on."""
    words: set[str] = set()
    undecided = []
    for pattern in patterns:
        if is_left_out(pattern):
            continue
        found = WRITTEN_OUT.get(pattern, plain_words(pattern))
        if found is None or any(len(word.removeprefix("^")) < MIN_CHARS for word in found):
            undecided.append(pattern)
        else:
            words.update(word.lower() for word in found)
    return without_longer(words), undecided


def is_left_out(pattern: str) -> bool:
    """Whether the list of exceptions names `pattern`, or the word that it stands for."""
    word = (plain_words(pattern) or [pattern])[0].lower()
    return pattern in LEFT_OUT or word in {left_out.lower() for left_out in LEFT_OUT}


def plain_words(pattern: str) -> list[str] | None:
    """Return the one word that a pattern without choices stands for, None for any other pattern."""
    folded = re.sub(r"\[([a-zA-Z])([a-zA-Z])\]", fold, pattern)
    bare = re.sub(r"\\b$", "", folded)
    start = "^" if bare.startswith("^") else ""
    bare = bare.removeprefix("^")
    bare = bare.replace("[ /]", "/")
    # A dot that is not escaped is meant as a dot.
    if re.search(r"(?<!\\)[][(){}*+?|^$]|\\[a-zA-Z0-9]", bare):
        return None
    return [start + re.sub(r"\\(.)", r"\1", bare)]


def fold(match: re.Match[str]) -> str:
    """Return one letter for a class of its two cases, since case does not count."""
    first, second = match[1], match[2]
    return first.lower() if first.lower() == second.lower() else match[0]


def without_longer(words: set[str]) -> list[str]:
    """Return `words` without those in which a shorter one stands already."""
    anywhere = sorted((word for word in words if not word.startswith("^")), key=len)
    kept: list[str] = []
    for word in anywhere:
        if not any(short in word for short in kept):
            kept.append(word)
    starts = [
        word
        for word in words
        if word.startswith("^") and not any(short in word[1:] for short in kept)
    ]
    return sorted(kept) + sorted(starts)


def as_toml(words: list[str]) -> str:
    """Return the data file."""
    head = (
        "# Words that stand in user agents of crawlers, scanners, previews and programs.\n"
        "# Written by contrib/dev/derive_crawlers.py, which says what is left out and why;\n"
        "# edit rules.toml or the script instead.  The words come from crawler-user-agents (MIT)\n"
        "# and isbot (Unlicense), see crawlers.LICENSE.\n"
    )
    anywhere = [word for word in words if not word.startswith("^")]
    starts = [word.removeprefix("^") for word in words if word.startswith("^")]
    return head + as_array("contains", anywhere) + as_array("starts", starts)


def as_array(name: str, words: list[str]) -> str:
    """Return one array of the data file, a word a line."""
    lines = "".join(f"    {json.dumps(word, ensure_ascii=False)},\n" for word in words)
    return f"\n{name} = [\n{lines}]\n"


if __name__ == "__main__":
    main()
