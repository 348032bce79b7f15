"""`openclick explain hit`: which rule decided, on what evidence."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from openclick.instants import SECOND
from openclick.store import JudgeCursor, Judgement
from openclick.verdicts import Verdict, Visitor
from unit.admin.command_line import CommandLine, Done
from unit.samples import (
    DESTINATION,
    EMAIL_ID_TEXT,
    NOW,
    a_hit,
    a_judgement,
    a_message,
    an_event,
    an_open,
)

FIREFOX = a_hit().user_agent
PREFETCH = Verdict(Visitor.PREFETCH, "purpose-prefetch", "purpose: prefetch")
BURST = Verdict(Visitor.AUTOMATION, "burst", "3 links of one copy within 0.10 s from 192.0.2.0/24")
LINE = '192.0.2.7 - - [27/Nov/2026:03:31:35 +0000] "{} HTTP/1.1" 302 0 "-" "{}"\n'


@pytest.fixture
def judged(openclick: CommandLine) -> CommandLine:
    """Return the command where three hits of one message were judged."""
    openclick.record(a_message())
    judgements = [
        a_judgement(1),
        Judgement(an_open(2), PREFETCH, None),
        Judgement(a_hit(3, link_index=1), BURST, None),
        Judgement(a_hit(4, email_id=b"o" * 16), BURST, None),
    ]
    with closing(openclick.store.registry(owner=True)) as registry:
        registry.events.record_judgements(judgements, JudgeCursor("file", 4), NOW + 3 * SECOND)
    return openclick


class TestWhatWasWrittenDown:
    """EVENT-ID and EMAIL-ID."""

    def test_every_hit_of_a_message(self, judged: CommandLine) -> None:
        """Dropped ones too, oldest first, with the rule and its evidence; nobody else's."""
        said = judged("explain", "hit", EMAIL_ID_TEXT, "--json").json

        assert [
            ("click", "person", "no-rule", "", True),
            ("open", "prefetch", "purpose-prefetch", "purpose: prefetch", False),
            ("click", "automation", "burst", BURST.evidence, False),
        ] == [
            (each["kind"], each["visitor"], each["rule"], each["evidence"], each["counts"])
            for each in said
        ]
        assert [an_event(1).event_id, None, None] == [each["event_id"] for each in said]
        assert [DESTINATION, None, "#top"] == [each["destination"] for each in said]

    def test_for_people(self, judged: CommandLine) -> None:
        """A table with the sum above it."""
        text = judged("explain", "hit", EMAIL_ID_TEXT, columns=250).text

        assert text.startswith("3 hits: 1 counted, 2 dropped\n")
        assert "link 1  automation, dropped  burst" in text
        assert f"user agent: {FIREFOX}" in text
        assert BURST.evidence in text

    def test_one_event(self, judged: CommandLine) -> None:
        """Everything that is known of the hit behind it."""
        said = judged("explain", "hit", an_event(1).event_id, "--json").json
        text = judged("explain", "hit", an_event(1).event_id).text

        assert said == {
            "event_id": an_event(1).event_id,
            "kind": "click",
            "received_at": "2025-11-23T22:40:00.123Z",
            "judged_at": "2025-11-23T22:40:03.123Z",
            "visitor": "person",
            "rule": "no-rule",
            "evidence": "",
            "source": None,
            "counts": True,
            "ip": "192.0.2.7",
            "user_agent": FIREFOX,
            "email_id": EMAIL_ID_TEXT,
            "copy": "636f7079",
            "link_index": 0,
            "destination": DESTINATION,
        }
        assert text.startswith("click by person\n")
        assert DESTINATION in text
        assert "anna@reader.example" in text

    def test_message_row_is_gone(self, judged: CommandLine) -> None:
        """What the verdict holds is told without it."""
        for path in judged.store.directory.glob("messages.db*"):
            path.unlink()

        (first, *_) = judged("explain", "hit", EMAIL_ID_TEXT, "--json").json

        assert (first["rule"], first["destination"]) == ("no-rule", None)

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ("evt_" + "0" * 32, "no hit of this event was judged, or its verdict is gone by now"),
            (EMAIL_ID_TEXT[:-1] + "0", "no hit of this message was judged, or its verdict"),
        ],
    )
    def test_nothing_is_known(self, judged: CommandLine, wanted: str, message: str) -> None:
        """One line, and status 1."""
        done = judged("explain", "hit", wanted)

        assert (1, f"openclick: {wanted}: {message}") == (
            done.status,
            done.err[: len(f"openclick: {wanted}: {message}")],
        )

    @pytest.mark.parametrize("wanted", ["evt_1", "email_1", "4Xk2Q1z0", ""])
    def test_no_id(self, judged: CommandLine, wanted: str) -> None:
        """The command line is wrong."""
        done = judged("explain", "hit", wanted)

        assert done.status == 2
        assert "need email_ and a UUID in lower case, or an event's evt_" in done.err

    def test_a_stranger_cannot_paint_the_terminal(self, openclick: CommandLine) -> None:
        """His user agent is spelled out."""
        judgement = a_judgement(1, user_agent="\x1b[31m")
        with closing(openclick.store.registry(owner=True)) as registry:
            registry.events.record_judgements([judgement], JudgeCursor("file", 1), NOW)

        many = openclick("explain", "hit", EMAIL_ID_TEXT, columns=160)
        one = openclick("explain", "hit", an_event(1).event_id)

        assert "\\x1b[31m" in many.text
        assert b"\x1b" not in many.out + one.out


def asked(openclick: CommandLine, *args: str) -> list[dict[str, Any]]:
    """Return what the rules say of a request."""
    said: list[dict[str, Any]] = openclick("explain", "hit", *args, "--json").json
    return said


class TestWhatTheRulesSay:
    """--user-agent."""

    def test_as_both_kinds(self, openclick: CommandLine) -> None:
        """An image proxy's open is one thing, its click another."""
        opened, clicked = asked(openclick, "--user-agent", "YahooMailProxy; x")

        assert opened == {
            "kind": "open",
            "visitor": "proxy",
            "rule": "yahoo-mail-proxy",
            "evidence": "user agent: YahooMailProxy",
            "source": "yahoo",
            "counts": True,
        }
        assert ("click", "image-proxy-click", False) == (
            clicked["kind"],
            clicked["rule"],
            clicked["counts"],
        )

    def test_for_people(self, openclick: CommandLine) -> None:
        """One line a kind."""
        text = openclick("explain", "hit", "--user-agent", "curl/8", "--kind", "click").text

        assert text.split() == [
            *("AS", "VERDICT", "RULE", "EVIDENCE"),
            *("click", "automation,", "dropped", "http-library", "user", "agent:", "curl/"),
        ]

    def test_with_headers(self, openclick: CommandLine) -> None:
        """As the sidecar keeps them."""
        (said,) = asked(
            *(openclick, "--user-agent", FIREFOX, "--kind", "click"),
            *("--header", "Accept: text/html", "--header", "Sec-Purpose: prefetch;prerender"),
        )

        assert ("sec-purpose-prefetch", "sec-purpose: prefetch") == (said["rule"], said["evidence"])

    def test_soon_after_the_submission(self, openclick: CommandLine) -> None:
        """A day is the default, so that the signs of haste are asked only when wanted."""
        old = FIREFOX.replace("Firefox/140.0", "").replace("X11; Linux x86_64", "Windows NT 10.0")
        request = ("--kind", "click", "--user-agent", f"{old} Chrome/57.0.2987.133")

        (late,) = asked(openclick, *request)
        (early,) = asked(openclick, *request, "--after", "5")

        assert ("no-rule", "too-soon-outdated-browser") == (late["rule"], early["rule"])

    def test_with_the_admins_rules_and_networks(
        self, openclick: CommandLine, tmp_path: Path
    ) -> None:
        """What the sidecar would do."""
        (tmp_path / "rules.toml").write_text('off = ["http-library", "crawler-list"]\n')
        (tmp_path / "networks.txt").write_text("192.0.2.0/24\n")
        openclick.configure(
            *("[judge]", f'rules_file = "{tmp_path}/rules.toml"'),
            f'scanner_networks = ["{tmp_path}/networks.txt"]',
        )

        (inside,) = asked(
            openclick, "--user-agent", FIREFOX, "--ip", "192.0.2.7", "--kind", "click"
        )

        assert ("scanner-network", "192.0.2.7 stands in networks.txt") == (
            inside["rule"],
            inside["evidence"],
        )

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (("--header", "nonsense"), "'nonsense': need 'Name: value'"),
            (("--header", ": x"), "': x': need 'Name: value'"),
            (("--header", "Cookie: x"), "'cookie' is not kept with a hit, so no rule sees it"),
            (("--after", "-1"), "--after"),
            (("--kind", "read"), "--kind"),
        ],
    )
    def test_options_at_fault(
        self, openclick: CommandLine, args: tuple[str, ...], message: str
    ) -> None:
        """The command line is wrong."""
        done = openclick("explain", "hit", "--user-agent", "x", *args)

        assert done.status == 2
        assert message in " ".join(done.err.split())

    @pytest.mark.parametrize(
        "args",
        [
            (),
            (EMAIL_ID_TEXT, "--user-agent", "x"),
            ("--user-agent", "x", "--access-log", "x"),
            (EMAIL_ID_TEXT, "--kind", "open"),
            (EMAIL_ID_TEXT, "--ip", "192.0.2.7"),
            ("--access-log", "x", "--header", "a: b"),
        ],
    )
    def test_options_that_do_not_go_together(
        self, openclick: CommandLine, args: tuple[str, ...]
    ) -> None:
        """Said at once, before anything is read."""
        done = openclick("explain", "hit", *args)

        assert done.status == 2
        assert "need one of EVENT-ID" in done.err or "with --user-agent" in done.err


def replayed(openclick: CommandLine, log: str, *args: str) -> Done:
    """Run a log through the rules."""
    return openclick("explain", "hit", "--access-log", "-", *args, stdin=log.encode("latin-1"))


class TestAccessLog:
    """--access-log."""

    def test_summed_up(self, openclick: CommandLine) -> None:
        """By verdict and rule, with an example; what counts first."""
        log = (
            LINE.format("GET /c/TOKEN", FIREFOX)
            + LINE.format("GET /o/TOKEN", FIREFOX)
            + LINE.format("GET /o/TOKEN", "YahooMailProxy; x")
            + LINE.format("GET /c/TOKEN", "curl/8.1")
            + LINE.format("GET /c/TOKEN", "curl/8.2")
            + LINE.format("GET /c/TOKEN", "-")
            + LINE.format("HEAD /c/TOKEN", "curl/8.1")
        )

        said = replayed(openclick, log, "--json").json

        assert [
            ("person", "no-rule", 2, FIREFOX),
            ("proxy", "yahoo-mail-proxy", 1, "YahooMailProxy; x"),
            ("automation", "http-library", 2, "curl/8.1"),
            ("automation", "no-user-agent", 1, ""),
        ] == [
            (each["visitor"], each["rule"], each["hits"], each["example"])
            for each in said["verdicts"]
        ]
        assert (7, 6, 1, 0) == tuple(
            said[name] for name in ("lines", "hits", "other_requests", "bad_lines")
        )

    def test_for_people(self, openclick: CommandLine) -> None:
        """Sums, then a table."""
        machine, person = LINE.format("GET /c/T", "curl/8"), LINE.format("GET /o/T", FIREFOX)
        log = machine * 3 + "nonsense\n" + person

        text = replayed(openclick, log).text

        assert text.startswith(
            "4 hits: 1 counted, 3 dropped; 0 other requests\n"
            "1 of 5 lines are not in the combined format, first line 4\n"
        )
        assert "75.0%" in text

    def test_other_paths_are_what_is_asked(self, openclick: CommandLine) -> None:
        """Any server's log tells something about user agents."""
        log = LINE.format("GET /index.html", "YahooMailProxy")

        clicked = replayed(openclick, log, "--json").json
        opened = replayed(openclick, log, "--json", "--kind", "open").json

        assert "image-proxy-click" == clicked["verdicts"][0]["rule"]
        assert "yahoo-mail-proxy" == opened["verdicts"][0]["rule"]

    @pytest.mark.parametrize(
        ("written", "example"),
        [
            (r"a \"quoted\" \\ word", r'a "quoted" \ word'),
            (r"\x22\xC3\xBC", '"Ã¼'),
            ("\xff", "�"),
            ("\x1b[31m", "\x1b[31m"),
        ],
    )
    def test_what_servers_escape(self, openclick: CommandLine, written: str, example: str) -> None:
        """Quotes and odd bytes as Apache and nginx write them."""
        said = replayed(openclick, LINE.format("GET /c/T", written), "--json").json

        assert example == said["verdicts"][0]["example"]

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "\x00" * 1000,
            '192.0.2.7 - - [x] "GET / HTTP/1.1" 200 1',  # the common format: no user agent
            '192.0.2.7 - - [x] "GET / HTTP/1.1" 200 1 "-" "unfinished',
            '192.0.2.7 - - [x] "' + "\\" * 10_000,
            "[" * 10_000,
        ],
    )
    def test_bad_lines(self, openclick: CommandLine, line: str) -> None:
        """Counted and passed over, whatever they hold."""
        log = f"{line}\n" + LINE.format("GET /c/T", "curl/8")

        said = replayed(openclick, log, "--json").json

        assert (1, 1, 1) == (said["hits"], said["bad_lines"], said["first_bad_line"])

    def test_a_user_with_blanks(self, openclick: CommandLine) -> None:
        """Apache writes a login as it came."""
        log = '::1 - John Doe [x] "GET /c/T HTTP/1.1" 302 0 "-" "curl/8" extra\n'

        assert replayed(openclick, log, "--json").json["hits"] == 1

    def test_a_file(self, openclick: CommandLine, tmp_path: Path) -> None:
        """Read by name; a long one shows no bar where nobody looks."""
        path = tmp_path / "access.log"
        path.write_text(LINE.format("GET /c/T", FIREFOX) * 40_000)

        done = openclick("explain", "hit", "--access-log", str(path), "--json")

        assert (40_000, "") == (done.json["hits"], done.err)

    def test_a_file_that_is_gone(self, openclick: CommandLine, tmp_path: Path) -> None:
        """One line, and status 1."""
        done = openclick("explain", "hit", "--access-log", str(tmp_path / "gone"))

        assert done.status == 1
        assert done.err.endswith("gone: cannot be read: No such file or directory\n")

    def test_a_file_without_hits(self, openclick: CommandLine) -> None:
        """Most likely another format: said, with status 1."""
        done = replayed(openclick, "nonsense\n")

        assert done.status == 1
        assert "no GET in the combined format" in done.err
