"""The judge's rules: how a file of them is read, and what the package's must hold."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from openclick.hits import JUDGED_HEADERS
from openclick.tokens import Kind
from openclick.verdicts import Visitor
from openclick_sidecar.judge import COMPUTED_RULES, NO_RULE
from openclick_sidecar.rules import Rule, RulesError, _packaged, packaged_rules, parse_rules


def one_rule(text: str) -> Rule:
    """Return the rule that `text` writes down."""
    (rule,) = parse_rules(f'[[rule]]\nname = "r"\nvisitor = "automation"\n{text}\n').rules
    return rule


@pytest.mark.parametrize(
    ("mark", "text", "evidence"),
    [
        ('exact = "Mozilla/5.0"', "Mozilla/5.0", "Mozilla/5.0"),
        ('exact = "Mozilla/5.0"', "Mozilla/5.0 ", None),
        ('exact = ""', "", ""),
        ('starts = "hey."', "hey.com/x", "hey."),
        ('starts = "hey."', "Hey.com/x", None),
        ('contains = "GoogleImageProxy"', "(via googleimageproxy)", "GoogleImageProxy"),
        ('contains = "GoogleImageProxy"', "Google", None),
        ("pattern = '(?i)^curl/\\d'", "Curl/8.1", "Curl/8"),
        ("pattern = '^curl'", "libcurl", None),
        ('exact = ["", "-"]', "-", "-"),
        ('starts = ["hey.", "HEY "]', "HEY there", "HEY "),
        ('contains = ["Barracuda", "Valimail"]', "a valimail b", "Valimail"),
        ('contains = ["Barracuda", "Valimail"]', "a b", None),
        ('list = "crawlers"', "CCBot/2.0", "ccbot"),
        ('list = "crawlers"', "Firefox", None),
    ],
)
def test_marks(mark: str, text: str, evidence: str | None) -> None:
    """Five ways to match; what matched is the evidence."""
    assert evidence == one_rule(mark).matches(text)


@pytest.mark.parametrize(
    ("on", "kinds"),
    [("", set(Kind)), ('on = "open"', {Kind.OPEN}), ('on = "click"', {Kind.CLICK})],
)
def test_kinds(on: str, kinds: set[Kind]) -> None:
    """A rule holds for both kinds of hit unless it names one."""
    assert kinds == one_rule(f'exact = "x"\n{on}').kinds


def test_header_rule() -> None:
    """A rule may look at another field than the user agent; its case is the request's business."""
    assert one_rule('header = "Purpose"\ncontains = "prefetch"').header == "purpose"


def test_conditions() -> None:
    """What must be met beside the mark."""
    rule = one_rule('exact = "x"\nlacks = "Accept-Language"\nsoon = true\nhttps = true')

    assert ("accept-language", True, True, True) == (
        rule.lacks,
        rule.soon,
        rule.https,
        rule.is_conditional,
    )
    assert not one_rule('exact = "x"').is_conditional


def test_rules_that_are_taken_out() -> None:
    """Named at the top of the file."""
    assert frozenset({"burst", "crawler"}) == parse_rules('off = ["burst", "crawler"]').off


def test_proxy_names_its_owner() -> None:
    """Events carry it as bot.source."""
    text = '[[rule]]\nname = "p"\nvisitor = "proxy"\nsource = "google"\ncontains = "x"\n'

    (rule,) = parse_rules(text).rules

    assert (Visitor.PROXY, "google") == (rule.visitor, rule.source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule", "not TOML: "),
        ("rule = 1", "rule: need [[rule]] tables"),
        ("rule = [1]", "rule: need [[rule]] tables"),
        ('[[rule]]\nname = "r"\nvisitor = "person"', "rule r: need exactly one of exact, starts"),
        (
            '[[rule]]\nname = "r"\nvisitor = "person"\nexact = "a"\nstarts = "a"',
            "rule r: need exactly one of exact, starts, contains, pattern",
        ),
        ('[[rule]]\nvisitor = "person"\nexact = "a"', "rule (no name): name: need lower-case"),
        ('[[rule]]\nname = "r"\nexact = "a"', "rule r: visitor: is missing: need one of"),
        (
            '[[rule]]\nname = "r"\nvisitor = "ghost"\nexact = "a"',
            'rule r: visitor: found "ghost": need one of "person", "proxy"',
        ),
        (
            '[[rule]]\nname = "r"\nvisitor = "person"\non = "read"\nexact = "a"',
            'rule r: on: found "read": need one of "open", "click"',
        ),
        ('[[rule]]\nname = "r"\nvisitor = "person"\npattern = "("', "rule r: pattern: missing )"),
        ('[[rule]]\nname = "r"\nvisitor = "person"\ncontains = 3', "rule r: contains: need text"),
        ('[[rule]]\nname = "r"\nvisitor = "person"\nexact = []', "rule r: exact: need text"),
        ('[[rule]]\nname = "r"\nvisitor = "person"\nexact = [1]', "rule r: exact: need text"),
        (
            '[[rule]]\nname = "r"\nvisitor = "person"\ncontains = ["bot", "spider"]',
            'rule r: contains: "bot" is too short: need at least 4 characters',
        ),
        (
            '[[rule]]\nname = "r"\nvisitor = "person"\nlist = "x"',
            'rule r: list: found "x": need "crawlers"',
        ),
        (
            '[[rule]]\nname = "r"\nvisitor = "person"\nexact = "a"\nsoon = 1',
            "rule r: soon: need true or false",
        ),
        (
            '[[rule]]\nname = "r"\nvisitor = "person"\nexact = "a"\ncolour = "red"',
            "rule r: colour: unknown",
        ),
        ('[[rule]]\nname = "r"\nvisitor = "proxy"\nexact = "a"', "rule r: source: need one with"),
        (
            '[[rule]]\nname = "r"\nvisitor = "person"\nsource = "x"\nexact = "a"',
            "rule r: source: need one with",
        ),
        ("off = 1", "off: need a list of rules' names"),
        ("colour = 1", "colour: unknown; need off"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(text: str, message: str) -> None:
    """The start ends with one line rather than with a judge that lets everything pass."""
    with pytest.raises(RulesError) as caught:
        parse_rules(text)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n\n[[rule\n", 3),
        (
            '[[rule]]\nname = "a"\nvisitor = "person"\nexact = "a"\n\n [[ rule ]]\nname = "b"\n',
            6,
        ),
        ('rule = [{name = "a"}]', 0),
    ],
)
def test_a_fault_has_its_line(text: str, line: int) -> None:
    """Where a file has lines to speak of: that of the table's head."""
    with pytest.raises(RulesError) as caught:
        parse_rules(text)

    assert line == caught.value.line


def test_a_name_is_given_once() -> None:
    """A verdict must name one rule."""
    text = '[[rule]]\nname = "a"\nvisitor = "person"\nexact = "a"\n'

    with pytest.raises(RulesError, match="rule a: is there already"):
        parse_rules(text * 2)


def test_packaged_rules_have_names_of_their_own() -> None:
    """A verdict names the rule that decided."""
    names = [rule.name for rule in packaged_rules()]

    assert len(names) > 20
    assert len(set(names)) == len(names)
    assert set(names).isdisjoint({*COMPUTED_RULES, NO_RULE})


def test_packaged_proxies_have_owners_and_nobody_else_has() -> None:
    """bot.source is never empty in an event."""
    for rule in packaged_rules():
        assert (rule.visitor is Visitor.PROXY) == bool(rule.source)


def test_packaged_header_rules_ask_for_kept_fields() -> None:
    """A field that the recorder does not keep can never match."""
    rules = packaged_rules()

    assert {rule.header for rule in rules if rule.header} <= set(JUDGED_HEADERS)
    assert {rule.lacks for rule in rules if rule.lacks} <= set(JUDGED_HEADERS)


def repeats_inside(parsed: Any, *, within: bool = False) -> Iterator[bool]:
    """Yield, for each repeat of any length in a parsed pattern, whether it stands in another."""
    for operation, argument in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, inner = argument
            endless = str(most) == "MAXREPEAT"
            if endless:
                yield within
            yield from repeats_inside(inner, within=within or endless)
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from repeats_inside(branch, within=within)
        elif name in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
            yield from repeats_inside(argument[-1], within=within)


def test_packaged_patterns_cannot_blow_up() -> None:
    """A stranger writes the user agent: no endless repeat inside another, at most two in a row."""
    patterns = re.findall(r"^pattern = '(.*)'$", _packaged("rules.toml"), re.MULTILINE)

    nested = [p for p in patterns if any(repeats_inside(re._parser.parse(p)))]
    wide = [branch for p in patterns for branch in p.split("|") if branch.count(".*") > 2]

    assert len(patterns) > 10
    assert (nested, wide) == ([], [])
