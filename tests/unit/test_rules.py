"""The judge's rules: how the data file is read, and what it must hold."""

import pytest

from openclick.hits import JUDGED_HEADERS
from openclick.tokens import Kind
from openclick.verdicts import Visitor
from openclick_sidecar.rules import Rule, RulesError, packaged_rules, parse_rules


def one_rule(text: str) -> Rule:
    """Return the rule that `text` writes down."""
    (rule,) = parse_rules(f'[[rule]]\nname = "r"\nvisitor = "automation"\n{text}\n')
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
    ],
)
def test_marks(mark: str, text: str, evidence: str | None) -> None:
    """Four ways to match; what matched is the evidence."""
    assert evidence == one_rule(mark).matches(text)


@pytest.mark.parametrize(
    ("on", "kinds"),
    [("", set(Kind)), ('on = "open"', {Kind.OPEN}), ('on = "click"', {Kind.CLICK})],
)
def test_kinds(on: str, kinds: set[Kind]) -> None:
    """A rule holds for both kinds of hit unless it names one."""
    assert kinds == one_rule(f'exact = "x"\n{on}').kinds


def test_header_rule() -> None:
    """A rule may look at another field than the user agent."""
    assert one_rule('header = "purpose"\ncontains = "prefetch"').header == "purpose"


def test_proxy_names_its_owner() -> None:
    """Events carry it as bot.source."""
    (rule,) = parse_rules(
        '[[rule]]\nname = "p"\nvisitor = "proxy"\nsource = "google"\ncontains = "x"\n'
    )

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
        ('[[rule]]\nvisitor = "person"\nexact = "a"', "rule (no name): "),
        ('[[rule]]\nname = "r"\nexact = "a"', "rule r: "),
        ('[[rule]]\nname = "r"\nvisitor = "ghost"\nexact = "a"', "rule r: 'ghost' is not a valid"),
        ('[[rule]]\nname = "r"\nvisitor = "person"\non = "read"\nexact = "a"', "rule r: "),
        ('[[rule]]\nname = "r"\nvisitor = "person"\npattern = "("', "rule r: "),
        ('[[rule]]\nname = "r"\nvisitor = "person"\ncontains = 3', "rule r: contains: need text"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(text: str, message: str) -> None:
    """The start ends with one line rather than with a judge that lets everything pass."""
    with pytest.raises(RulesError) as caught:
        parse_rules(text)

    assert str(caught.value).startswith(message)


def test_packaged_rules_have_names_of_their_own() -> None:
    """A verdict names the rule that decided."""
    names = [rule.name for rule in packaged_rules()]

    assert len(names) > 20
    assert len(set(names)) == len(names)


def test_packaged_proxies_have_owners_and_nobody_else_has() -> None:
    """bot.source is never empty in an event."""
    for rule in packaged_rules():
        assert (rule.visitor is Visitor.PROXY) == bool(rule.source)


def test_packaged_header_rules_ask_for_kept_fields() -> None:
    """A field that the recorder does not keep can never match."""
    assert {rule.header for rule in packaged_rules() if rule.header} <= set(JUDGED_HEADERS)
