"""`openclick explain message FILE`: what the milter would do, by two readers."""

import pytest

from openclick.tokens import Kind, Token
from openclick_admin import explain as module
from openclick_admin.context import Admin
from openclick_admin.explain_file import Page, SecondReading, explain
from openclick_admin.instrument import Offline
from support import messages
from support.messages import TRACKED_LINKS, UNTRACKED_LINKS
from unit.admin.command_line import CommandLine
from unit.admin.explain.explained_mail import A, B, explained
from unit.samples import COPY, DESTINATION, EMAIL_ID, EMAIL_ID_TEXT, TRACKING_DOMAIN, a_message

pytestmark = pytest.mark.usefixtures("tracked_domain")


class TestFile:
    """What the milter would do with a message."""

    def test_every_link_and_the_image(self, openclick: CommandLine) -> None:
        """All links in their order, with the part, and where the image goes."""
        said = explained(openclick, messages.newsletter()).json

        links = said["links"]
        assert [link["index"] for link in links] == list(range(12))
        assert {link["part"] for link in links} == {2}
        assert [x["destination"] for x in links if x["tracked"]] == list(TRACKED_LINKS)
        assert {x["destination"] for x in links if not x["tracked"]} == set(UNTRACKED_LINKS)
        assert said["image"] == {"placed": True, "reason": "before </body>"}
        assert (said["outcome"], said["reason"]) == ("instrumented", "")
        assert said["readers_differ"] == []

    def test_the_decision_with_its_reasons(self, openclick: CommandLine) -> None:
        """Header over domain default, labels and removed headers too."""
        headers = {
            "X-Anypost-Track-Opens": "no",
            "X-Anypost-Tags": "autumn",
            "X-Anypost-Topic": "!",
        }

        said = explained(openclick, messages.newsletter(headers=headers)).json

        assert said["decision"] == {
            "opens": {"on": False, "reason": "header says off"},
            "clicks": {"on": True, "reason": "domain default is on"},
        }
        assert (said["tags"], said["topic"]) == (["autumn"], None)
        assert said["control_headers"] == {
            "removed": list(headers),
            "complaints": ["X-Anypost-Topic: '!' is no such label: dropped"],
        }
        assert said["image"] == {"placed": False, "reason": "opens are off"}

    def test_clicks_off(self, openclick: CommandLine) -> None:
        """Each link says what keeps it: itself, or the decision."""
        raw = messages.newsletter(headers={"X-Anypost-Track-Clicks": "no"})

        said = explained(openclick, raw).json

        reasons = {link["destination"]: link["reason"] for link in said["links"]}
        assert said["outcome"] == "instrumented"
        assert {reasons[url] for url in TRACKED_LINKS} == {"header says off"}
        assert reasons["https://shop.kontor.example/privacy"] == "opt-out attribute"
        assert reasons["https://shop.kontor.example/unsubscribe?u=81f3"] == "unsubscribe link"

    def test_untouched(self, openclick: CommandLine) -> None:
        """The links of a message that is left alone are listed all the same."""
        raw = messages.newsletter(headers={"DKIM-Signature": "v=1"})

        said = explained(openclick, raw).json

        reasons = {link["destination"]: link["reason"] for link in said["links"]}
        assert (said["outcome"], said["reason"]) == ("untouched", "already DKIM-signed")
        assert {reasons[url] for url in TRACKED_LINKS} == {"already DKIM-signed"}
        assert reasons["#offers"] == "anchor"
        assert said["image"] == {"placed": False, "reason": "already DKIM-signed"}

    def test_a_domain_that_is_not_added(self, openclick: CommandLine) -> None:
        """As the milter decides, so nothing would be done."""
        said = explained(openclick, messages.newsletter(sender="x@fremd.example")).json

        assert (said["outcome"], said["reason"]) == ("untouched", "sending domain is not added")
        assert (said["sending_domain"], said["tracking_domain"]) == ("fremd.example", None)

    def test_a_store_that_cannot_be_read(self, openclick: CommandLine) -> None:
        """The message is explained as if its domain were verified, and that is noted."""
        (openclick.store.directory / "openclick.db").unlink()

        said = explained(openclick, messages.newsletter()).json

        assert said["outcome"] == "instrumented"
        assert said["notes"][0].startswith(
            "as if the domain were verified, with both defaults on: "
        )

    def test_attachments_are_named(self, openclick: CommandLine) -> None:
        """An HTML part that is not looked into says why."""
        said = explained(openclick, messages.with_attachment()).json

        assert [(part["part"], part["reason"]) for part in said["html_parts"]] == [
            (3, ""),
            (5, "attachment"),
        ]
        assert said["readers_differ"] == []

    def test_structure_that_nobody_may_guess(self, openclick: CommandLine) -> None:
        """The milter reads no link there, so BeautifulSoup's are listed, with the reason."""
        raw = messages.newsletter().rpartition(b"\r\n--")[0]

        said = explained(openclick, raw).json

        assert said["reason"] == "ambiguous structure: missing end boundary"
        assert {link["reason"] for link in said["links"]} == {said["reason"]}
        assert len(said["links"]) == 12
        assert said["readers_differ"] == []

    def test_links_of_ours_are_opened(self, openclick: CommandLine) -> None:
        """What is sealed is shown: message, copy, link and original destination."""
        token = Token(EMAIL_ID, COPY, 3, DESTINATION)
        link = openclick.ring.seal(Kind.CLICK, TRACKING_DOMAIN, token)
        image = openclick.ring.seal(Kind.OPEN, TRACKING_DOMAIN, Token(EMAIL_ID, COPY))
        page = (
            f'<body><a href="https://{TRACKING_DOMAIN}/c/{link}">x</a>'
            f'<img src="https://{TRACKING_DOMAIN}/o/{image}"></body>'
        )

        said = explained(openclick, messages.html_only(html=page)).json

        common = {"tracking_domain": TRACKING_DOMAIN, "email_id": EMAIL_ID_TEXT, "copy": COPY.hex()}
        click = {"kind": "click", **common, "link_index": 3, "destination": DESTINATION}
        assert said["tokens"] == [
            click,
            {"kind": "open", **common, "link_index": None, "destination": None},
        ]
        assert (said["links"][0]["reason"], said["links"][0]["token"]) == ("already tracked", click)

    def test_the_same_mail_again(self, openclick: CommandLine) -> None:
        """Where the row of a link of ours has the same Message-ID, nothing more would be done."""
        text = openclick.ring.seal(Kind.OPEN, TRACKING_DOMAIN, Token(EMAIL_ID, COPY))
        page = f'<body><img src="https://{TRACKING_DOMAIN}/o/{text}"></body>'
        openclick.record(a_message(message_id="<again@kontor.example>"))

        raw = messages.html_only(html=page, message_id="<again@kontor.example>")

        reason = "already instrumented: the same mail comes round again"
        assert explained(openclick, raw).json["reason"] == reason

    def test_standard_input(self, openclick: CommandLine) -> None:
        """A minus reads from there."""
        done = openclick("explain", "message", "-", "--json", stdin=messages.newsletter())

        assert (done.json["file"], done.json["outcome"]) == ("standard input", "instrumented")

    def test_an_empty_file(self, openclick: CommandLine) -> None:
        """It ends with 1."""
        done = openclick("explain", "message", "-")

        assert (done.status, done.err) == (
            1,
            "openclick: standard input: is empty: need a whole message\n",
        )


class TestTwoReaders:
    """BeautifulSoup, which knows nothing of the scanner, sees the same links."""

    @pytest.mark.parametrize(
        "page",
        [
            f'<!-- <a href="{A}"> --><A HREF={B}>x</A>',
            f"<script>'<a href=\"{A}\">'</script><area href='{B}'>",
            f'<textarea><a href="{A}"></textarea><title><a href="{A}"></title><a href="{B}">',
            f'<a href="{A}" href="{B}">first of two</a>',
            f'<a href="{A}?a=1&copy=2&amp;b=3&lt;">references</a>',
            f'<a href=" {A}\r\nx\ty ">blanks</a>',
            f'<a href="{A}grün\N{NO-BREAK SPACE}" title=à>8-bit</a>',
            '<a href="">empty</a><a href>none</a><a name=x>no href</a>',
            f'<!--[if mso]><a href="{A}">x</a><![endif]--><a href="{B}">y</a>',
            f'<noscript><a href="{A}">x</a></noscript><svg><a href="{B}">y</a></svg>',
            f'<a title=">" href="{A}"/><a\nhref\n=\n"{B}"\n>',
        ],
    )
    @pytest.mark.parametrize("comments", [False, True], ids=["", "conditional-comments"])
    def test_they_agree(self, openclick: CommandLine, page: str, comments: bool) -> None:
        """On what a browser would follow, whatever stands around it."""
        openclick.configure("[milter]", f"conditional_comments = {str(comments).lower()}")
        raw = messages.html_only(html=f"<html><body>{page}</body></html>")

        assert explained(openclick, raw).json["readers_differ"] == []

    @pytest.mark.parametrize(
        ("pages", "differences"),
        [
            ({0: Page([A], [])}, [f"part 0: only the milter sees {B}"]),
            ({0: Page([A, B, B], [])}, [f"part 0: only BeautifulSoup sees {B}"]),
            ({}, ["part 0 is an HTML part for the milter alone"]),
            (
                {0: Page([A, B], []), 1: Page([A], [])},
                ["part 1 is an HTML part for BeautifulSoup alone"],
            ),
        ],
        ids=["less", "more", "no part", "another part"],
    )
    def test_they_differ(
        self, openclick: CommandLine, pages: dict[int, Page], differences: list[str]
    ) -> None:
        """A link or a part that only one of them sees gives a line."""
        raw = messages.html_only(html=f'<body><a href="{A}">a</a><a href="{B}">b</a></body>')
        offline = Offline(Admin(str(openclick.config_path)))

        said = explain(offline, raw, SecondReading(pages))

        assert said.differences == differences

    def test_a_difference_is_shown(
        self, openclick: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As a line of its own, below the table."""
        monkeypatch.setattr(module, "_page", lambda _entity: Page([], []))
        raw = messages.html_only(html=f'<body><a href="{A}">a</a></body>')

        text = explained(openclick, raw, "--").text

        assert text.splitlines()[-1] == f"readers differ: part 0: only the milter sees {A}"

    def test_a_hostile_message(
        self, openclick: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second reader that does not come to an end is given up; the answer stands without."""

        def slow(*_args: object, **_named: object) -> None:
            while True:
                pass

        monkeypatch.setattr(module, "SECOND_READER_SECONDS", 0.05)
        monkeypatch.setattr(module, "BeautifulSoup", slow)

        said = explained(openclick, messages.newsletter()).json

        assert said["notes"] == [
            "the readers are not compared: BeautifulSoup took more than 0.05 s"
        ]
        assert (len(said["links"]), said["readers_differ"]) == (12, [])
