"""The judge that the settings ask for, and what is said of files at fault."""

from dataclasses import replace
from pathlib import Path

import pytest

from openclick.config import ConfigError
from openclick.settings import Config, JudgeSettings, LinkSettings
from openclick.tokens import Kind
from openclick_sidecar.judges import load_judge
from unit.samples import a_hit, an_open

OWN_RULE = '[[rule]]\nname = "our-thing"\nvisitor = "automation"\nstarts = "OurThing/"\n'


def written(path: Path, text: str | bytes) -> str:
    """Write a file and return its name."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def config(**judge: object) -> Config:
    """Return settings with these of the judge."""
    return replace(Config(), judge=replace(JudgeSettings(), **judge))


def test_nothing_asked_for() -> None:
    """The rules that come with OpenClick."""
    assert load_judge(Config()).verdict(a_hit(user_agent="curl/8")).rule == "http-library"


def test_own_rules_come_first(tmp_path: Path) -> None:
    """Also before the package's image proxies."""
    path = written(tmp_path / "rules.toml", OWN_RULE)
    judge = load_judge(config(rules_file=path))

    verdict = judge.verdict(an_open(user_agent="OurThing/1 GoogleImageProxy"))

    assert (verdict.rule, verdict.counts) == ("our-thing", False)
    assert judge.verdict(a_hit(user_agent="curl/8")).rule == "http-library"


def test_own_rules_let_somebody_pass(tmp_path: Path) -> None:
    """A visitor "person" ends the search."""
    text = '[[rule]]\nname = "our-app"\nvisitor = "person"\nstarts = "curl/8 ours"\n'
    judge = load_judge(config(rules_file=written(tmp_path / "rules.toml", text)))

    verdict = judge.verdict(a_hit(user_agent="curl/8 ours"))

    assert (verdict.rule, verdict.counts) == ("our-app", True)


@pytest.mark.parametrize("name", ["http-library", "burst", "repeat", "scanner-network"])
def test_rules_are_taken_out(tmp_path: Path, name: str) -> None:
    """Those of the file and those that no file holds, by name."""
    networks = written(tmp_path / "networks.txt", "192.0.2.0/24\n")
    path = written(tmp_path / "rules.toml", f'off = ["{name}"]\n')
    judge = load_judge(config(rules_file=path, scanner_networks=(networks,)))
    elsewhere = a_hit(ip="198.51.100.1")

    verdicts = {
        "http-library": judge.verdict(elsewhere._replace(user_agent="curl/8")),
        "burst": judge.verdict(elsewhere, "evidence"),
        "scanner-network": judge.verdict(a_hit()),
        "repeat": judge.repeat_verdict(judge.verdict(elsewhere), 21),
    }

    assert [name] == [rule for rule, verdict in verdicts.items() if rule != verdict.rule]


def test_a_rule_of_the_package_is_replaced(tmp_path: Path) -> None:
    """Taken out, and written anew under its own name."""
    text = 'off = ["crawler"]\n' + OWN_RULE.replace("our-thing", "crawler")
    judge = load_judge(config(rules_file=written(tmp_path / "rules.toml", text)))

    assert judge.verdict(a_hit(user_agent="OurThing/1")).rule == "crawler"
    assert judge.verdict(a_hit(user_agent="Googlebot/2.1")).rule == "crawler-list"


def test_networks_are_asked_about_clicks(tmp_path: Path) -> None:
    """Opens are not affected; the evidence names the file."""
    first = written(tmp_path / "first.json", '{"prefixes": [{"ipv4Prefix": "198.51.100.0/24"}]}')
    second = written(tmp_path / "second.csv", "192.0.2.0/24,DE\n")
    judge = load_judge(config(scanner_networks=(first, second)))

    verdict = judge.verdict(a_hit())

    assert ("scanner-network", "192.0.2.7 stands in second.csv") == (verdict.rule, verdict.evidence)
    assert judge.verdict(an_open()).counts
    assert judge.verdict(a_hit(ip="203.0.113.9")).counts


def test_https_and_the_window_come_from_the_settings() -> None:
    """Over http browsers send no Sec-Fetch fields, so their absence says nothing."""
    hit = a_hit(
        received_at=0x0199C0DE0000 * 1000 + 100,
        user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/142.0.0.0 Safari/537.36",
        headers={"accept-language": "de"},
    )
    either = config(missing_fields=True)
    strict = replace(either, links=LinkSettings(scheme="https"))
    unhurried = config(missing_fields=True, too_soon_seconds=0.0)

    assert load_judge(strict).verdict(hit).rule == "too-soon-no-sec-fetch"
    assert load_judge(either).verdict(hit).counts
    assert load_judge(replace(unhurried, links=strict.links)).verdict(hit).counts
    assert load_judge(config()).verdict(hit).counts


def test_every_fault_is_one_line(tmp_path: Path) -> None:
    """File, line where there is one, what was found, what is needed; all files in one go."""
    rules = written(tmp_path / "rules.toml", 'off = ["brust"]\n\n' + OWN_RULE)
    broken = written(tmp_path / "broken.txt", "192.0.2.0/24\nx y\n")
    latin = written(tmp_path / "latin.txt", b"\xff")
    gone = str(tmp_path / "gone.txt")

    with pytest.raises(ConfigError) as caught:
        load_judge(config(rules_file=rules, scanner_networks=(broken, latin, gone)))

    assert [
        f"{rules}: off: 'brust': there is no such rule; did you mean burst?",
        f"{broken}:2: x y: need a network, such as 192.0.2.0/24 or 2001:db8::/32",
        f"{latin}: cannot be read: not UTF-8 text",
        f"{gone}: cannot be read: No such file or directory",
    ] == str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('\n[[rule]]\nname = "r"\n', "rules.toml:2: rule r: need exactly one of exact, starts"),
        ('x = "\n', "rules.toml:1: not TOML: "),
        ('off = ["zzz"]', "rules.toml: off: 'zzz': there is no such rule; see rules.toml"),
    ],
)
def test_a_rules_file_at_fault(tmp_path: Path, text: str, expected: str) -> None:
    """The line of the rule's table."""
    path = written(tmp_path / "rules.toml", text)

    with pytest.raises(ConfigError) as caught:
        load_judge(config(rules_file=path))

    assert str(caught.value).startswith(f"{tmp_path}/{expected}")


def test_a_rules_file_that_is_gone(tmp_path: Path) -> None:
    """No judge, rather than one without the admin's rules."""
    with pytest.raises(ConfigError, match="gone: cannot be read: No such file"):
        load_judge(config(rules_file=str(tmp_path / "gone")))


def test_kinds_are_kept_apart(tmp_path: Path) -> None:
    """A rule for clicks says nothing of opens."""
    path = written(tmp_path / "rules.toml", OWN_RULE + 'on = "click"\n')
    judge = load_judge(config(rules_file=path))

    said = {hit.kind: judge.verdict(hit).rule for hit in (a_hit(), an_open())}
    ours = {
        hit.kind: judge.verdict(hit._replace(user_agent="OurThing/1 (X11; Linux)")).rule
        for hit in (a_hit(), an_open())
    }

    assert {Kind.CLICK: "no-rule", Kind.OPEN: "no-rule"} == said
    assert {Kind.CLICK: "our-thing", Kind.OPEN: "no-rule"} == ours
