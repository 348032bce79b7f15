"""The documentation agrees with the code: nothing told that is not there, nothing there untold.

Each test reads pages as text and compares them with what the code itself says of its settings,
commands, reasons and modules.
"""

import ast
import re

import click
import pytest

from openclick import __version__
from openclick.domains import SendingDomain
from openclick.policy import Toggles, decide
from openclick_admin.main import openclick
from openclick_milter.reasons import Reason
from unit.doc_pages import (
    DOCS,
    FENCED,
    PACKAGES,
    ROOT,
    code_spans,
    command_named,
    first_cells,
    pages,
    section,
)
from unit.loose_script import load_script

MAPPED = (*PACKAGES, "tests/support", "docs")
GLOSSARY = """
    submission, message, email_id, queue_id, message_id, copy, HTML part, span, link, destination,
    tracking link, open image, instrument, toggle, domain default, decision, sending domain,
    tracking domain, verified, token, hit, verdict, person, proxy, prefetch, automation, event,
    webhook, delivery, attempt, pending, delivered, abandoned, drop, untouched
"""
ADR_HEADINGS = ["Context", "Decision", "Measurement", "Price", "Refused"]


def option_names(command: click.Command) -> set[str]:
    """Return every spelling of a command's options, and of those that all commands have."""
    parameters = [*command.params, *openclick.params]
    names = [name for each in parameters for name in (*each.opts, *each.secondary_opts)]
    return {"--help", *names}


def modules_on_the_map(text: str) -> list[str]:
    """Return the paths that docs/architecture.md lists, below the headings that name folders."""
    blocks = re.findall(r"^## `([^`]+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return [
        f"{folder}/{name}"
        for folder, block in blocks
        for name in re.findall(r"^- `([^`]+)`: ", block, re.MULTILINE)
    ]


@pytest.mark.parametrize(
    "name",
    [
        "settings.md",
        "openclick.toml",
        "man/openclick.1",
        "man/openclick.toml.5",
        "man/openclick-milter.8",
        "man/openclick-sidecar.8",
    ],
)
def test_generated_page_is_the_codes_own(name: str) -> None:
    """Settings, commands and options are told as the code has them; `make docs` writes anew."""
    generated: str = load_script(DOCS / "generate.py").pages()[name]

    assert generated == (DOCS / name).read_text("utf-8")


def test_settings_named_on_a_page_exist() -> None:
    """A page that speaks of section.option speaks of one that there is."""
    settings = (DOCS / "settings.md").read_text("utf-8")
    headings = re.findall(r"^### (\w+\.\w+)$", settings, re.MULTILINE)
    sections = "|".join({name.partition(".")[0] for name in headings})
    named = re.compile(rf"`((?:{sections})\.[a-z_]+)`")

    unknown = [
        f"{page.name}: {name}"
        for page in pages()
        for name in named.findall(page.read_text("utf-8"))
        if name not in headings and not name.endswith((".db", ".toml", ".md", ".py"))
    ]

    assert unknown == []


def test_the_map_is_complete() -> None:
    """Every module stands in docs/architecture.md with its one line, once, and nothing else."""
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in MAPPED
        for suffix in ("py", "sql", "toml")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
        if path.name != "openclick.toml"
    }

    listed = modules_on_the_map((DOCS / "architecture.md").read_text("utf-8"))
    assert sorted(listed) == sorted(there)


def test_the_map_names_the_folders() -> None:
    """Every folder with files in it has its line, and every line its folder."""
    listed = first_cells(section((DOCS / "architecture.md").read_text("utf-8"), "## The folders"))
    there = [
        path.name
        for path in ROOT.iterdir()
        if path.is_dir()
        and path.name[0] not in "._"
        and any(below.is_file() and "__pycache__" not in below.parts for below in path.rglob("*"))
        and path.name not in ("build", "dist")
        and path.suffix != ".egg-info"
    ]

    assert sorted(listed) == sorted(there)


def test_the_glossary_holds_every_word() -> None:
    """The words that code, logs, tables and pages share are explained in one place."""
    told = {
        cell.removesuffix(" (verb)").strip("`")
        for cell in first_cells((DOCS / "glossary.md").read_text("utf-8"))
    }

    missing = {word.strip() for word in GLOSSARY.split(",")} - told

    assert missing == set()


def test_every_reason_is_explained() -> None:
    """An admin who reads a reason in the log finds it in docs/untouched.md."""
    text = (DOCS / "untouched.md").read_text("utf-8")
    headings = ("## The message", "## The structure", "## The HTML part", "## A link")

    told = [cell for heading in headings for cell in first_cells(section(text, heading))]
    told += first_cells(section(text, "## The open image"))

    assert sorted(told) == sorted(reason.value for reason in Reason)


def test_every_code_of_a_failed_check_is_explained() -> None:
    """Each with what was found and what to do; none is told that no check gives."""
    text = (DOCS / "tracking-domains.md").read_text("utf-8")
    modules = ("verifier", "self_fetch")
    source = "".join(
        (ROOT / f"sidecar/openclick_sidecar/{name}.py").read_text("utf-8") for name in modules
    )

    told = set(first_cells(section(text, "## When a check fails"))) - {"code"}
    raised = set(re.findall(r'(?:_Failed|VerificationFailure)\(\s*"([a-z_]+)"', source))

    assert raised <= told
    assert [] == [code for code in told if f'"{code}"' not in source]


def test_every_reason_of_a_decision_is_explained() -> None:
    """So are the reasons that the policy gives."""
    told = first_cells(section((DOCS / "untouched.md").read_text("utf-8"), "## The decision"))
    domain = SendingDomain("", "example.com", False, False, "track", 0)
    verified = SendingDomain("", "example.com", False, False, "track", 0, verified_at=1)
    without = SendingDomain("", "example.com", False, False, "", 0)

    given = [
        decide(Toggles(), None).opens.reason,
        decide(Toggles(), without).opens.reason,
        decide(Toggles(), domain).opens.reason.replace("track.example.com", "NAME"),
        decide(Toggles(), verified).opens.reason,
        decide(Toggles(opens=False), verified).opens.reason,
    ]

    assert told == given


def test_commands_named_on_a_page_exist() -> None:
    """No page tells to type what the command does not know, nor an option that it lacks."""
    wrong = []
    for page in pages():
        for code in code_spans(page.read_text("utf-8")):
            for said in re.findall(r"(?:^|[#$] )openclick ([a-z][^\n|;#]*)", code):
                words = re.findall(r"^[a-z][a-z-]*(?: [a-z][a-z-]*)*", said)[0].split()
                command = command_named(words)
                options = re.findall(r"(?<!\S)--?[a-z][a-z-]*", said)
                if command is None or not set(options) <= option_names(command):
                    wrong.append(f"{page.name}: openclick {said}")

    assert wrong == []


def test_make_targets_named_on_a_page_exist() -> None:
    """What a page tells to make can be made."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))

    wrong = [
        f"{page.name}: make {target}"
        for page in pages()
        for code in code_spans(page.read_text("utf-8"))
        for target in re.findall(r"(?:^|[#$] )make ([a-z][a-z-]*)", code)
        if target not in targets
    ]

    assert wrong == []


def test_the_changelog_has_room_and_this_version() -> None:
    """What comes next has its place, and the version of the code its entry."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")

    headings = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)

    assert headings[0] == "Unreleased"
    assert __version__ in headings


def test_decisions_are_numbered_and_whole() -> None:
    """Each ADR has a number of its own, and its headings in order.

    A number is given out before its ADR is written, so that one may be missing for a while.
    """
    texts = {path.name: path.read_text("utf-8") for path in (DOCS / "adr").glob("*.md")}

    numbers = sorted(int(name[:4]) for name in texts)
    headings = [re.findall(r"^## (.+)$", text, re.MULTILINE) for text in texts.values()]
    untitled = [name for name, text in texts.items() if not text.startswith(f"# {name[:4]}: ")]

    assert len(numbers) == len(set(numbers))
    assert headings == [ADR_HEADINGS] * len(texts)
    assert untitled == []


def test_links_between_pages_lead_somewhere() -> None:
    """A relative link names a file or folder that is there."""
    wrong = [
        f"{page.name}: {target}"
        for page in pages()
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert wrong == []


def test_pages_that_the_code_cites_exist() -> None:
    """A path below docs/ in the code names a page; an ADR may be cited by its number alone."""
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.*")]
    modules += [path for name in ("bench", "contrib", "tests") for path in (ROOT / name).rglob("*")]
    cited = {
        (path.name, cite.rstrip("."))
        for path in modules
        if path.suffix in (".py", ".sql", ".toml", ".sh", "") and path.is_file()
        for cite in re.findall(r"\bdocs/[\w./-]+", path.read_text("utf-8"))
    }

    missing = [(name, cite) for name, cite in cited if not list(ROOT.glob(f"{cite}*"))]

    assert ("aes_siv.py", "docs/adr/0007") in cited
    assert missing == []


def test_tests_that_are_cited_exist() -> None:
    """A page or a module that names the test of what it says names one that is there."""
    readers = [*pages(), *(path for each in PACKAGES for path in (ROOT / each).rglob("*.py"))]
    cited = {
        (path.name, cite)
        for path in readers
        for cite in re.findall(r"\btests/[\w/*-]+\.py\b", path.read_text("utf-8"))
    }

    missing = [(name, cite) for name, cite in cited if not list(ROOT.glob(cite))]

    assert len(cited) > 5
    assert missing == []


def test_prose_has_one_sentence_a_line() -> None:
    """So that a change of a sentence is a change of one line."""
    wrong = [
        f"{page.name}: {text[:60]}"
        for page in pages()
        for text in FENCED.sub("", page.read_text("utf-8")).split("\n")
        if not text.startswith(("|", "#")) and re.search(r"[a-z)`][.?!] [A-Z`]", text)
    ]

    assert wrong == []


def test_the_split_is_told_as_it_is_tested() -> None:
    """Every option of the second listener on docs/per-recipient.md is one the tests ran with."""
    source = (ROOT / "tests/functional/test_postfix_split.py").read_text("utf-8")
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("INJECT", "TRANSPORT", "CLEANUP")
    }

    told = (DOCS / "per-recipient.md").read_text("utf-8")

    assert "  -o smtpd_milters=\n" in told.partition("oc_split unix")[0]
    for name, value in constants["INJECT"].items():
        assert f"  -o {name}={value.replace(', ', ',')}\n" in told
    assert constants["TRANSPORT"] in told
    assert constants["CLEANUP"] in told
