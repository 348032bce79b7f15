"""The `openclick` command, run in-process against a real store."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from openclick import __version__
from openclick.config import parse_config, toml_value
from openclick.keys import load_keys
from openclick.settings import Config
from openclick.store import Registry, open_store
from openclick_admin.main import main, openclick
from unit.samples import NOW, a_domain, a_message, a_webhook, log_events

GROUP = str(os.getgid())
Run = Callable[..., Result]


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    """Return the settings of an installation that `openclick init` has not seen yet."""
    return write_config(tmp_path)


def write_config(directory: Path, **sections: dict[str, Any]) -> Path:
    """Write openclick.toml: store and keys in `directory`, and what `sections` add."""
    settings: dict[str, dict[str, Any]] = {
        "store": {"url": f"sqlite:{directory}/store"},
        "keys": {"directory": f"{directory}/keys"},
        "sidecar": {"public_hostname": "mail.openclick.example"},
        **sections,
    }
    path = directory / "openclick.toml"
    path.write_text(
        "".join(
            f"[{section}]\n" + "".join(f"{k} = {toml_value(v)}\n" for k, v in options.items())
            for section, options in settings.items()
        ),
        "utf-8",
    )
    return path


@pytest.fixture
def run(config_path: Path) -> Run:
    """Return the command with --config given."""

    def run_it(*args: str) -> Result:
        return CliRunner().invoke(openclick, ["--config", str(config_path), *args])

    return run_it


@pytest.fixture
def ready(run: Run) -> Run:
    """Return the command of an installation that is initialised."""
    assert run("init", "--group", GROUP).exit_code == 0
    return run


@pytest.fixture
def registry(ready: Run, tmp_path: Path) -> Any:
    """Return the registry of that installation."""
    with closing(open_store(f"sqlite:{tmp_path}/store").registry()) as opened:
        yield opened


def mode(path: Path) -> int:
    """Return the rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def ended(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Run the whole command; return exit status, standard output and standard error."""
    with pytest.raises(SystemExit) as caught:
        main(args)
    code = caught.value.code
    found = capsys.readouterr()
    return (code if isinstance(code, int) else 1), found.out, found.err


# --- the command line


def test_help_is_there_without_settings() -> None:
    """Help needs no file, no store and no root."""
    result = CliRunner().invoke(openclick, ["--help"])

    assert result.exit_code == 0
    for word in ("init", "config", "domain", "webhook", "events", "keys"):
        assert re.search(rf"^  {word} ", result.output, re.MULTILINE)


def test_version() -> None:
    """The package's."""
    assert CliRunner().invoke(openclick, ["--version"]).output == (
        f"openclick, version {__version__}\n"
    )


def test_help_is_quick() -> None:
    """No subcommand is imported before it is called, nor Twisted or dnspython at all."""
    code = """if True:
        import sys
        from click.testing import CliRunner
        from openclick_admin.main import openclick
        CliRunner().invoke(openclick, ["--help"])
        slow = ("twisted", "dns", "rich", "openclick_admin.domain")
        print([module for module in slow if module in sys.modules])
    """

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "[]\n"


def test_unknown_subcommand() -> None:
    """Status 2: the command line is wrong."""
    result = CliRunner().invoke(openclick, ["dance"])

    assert result.exit_code == 2
    assert "No such command 'dance'" in result.output


def test_settings_by_the_environment(config_path: Path) -> None:
    """OPENCLICK_CONFIG names the file too."""
    result = CliRunner().invoke(
        openclick, ["config", "check"], env={"OPENCLICK_CONFIG": str(config_path)}
    )

    assert result.output == f"{config_path}: no fault found\n"


def test_settings_at_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 78; each fault in one line on standard error, and nothing is done."""
    path = write_config(tmp_path, links={"port": -1}, milter={"socket": "x"})

    status, out, err = ended(capsys, "--config", str(path), "domain", "list")

    assert (78, "") == (status, out)
    assert [
        f"openclick: {path}:8: links.port = -1: need a",
        f"openclick: {path}:10: milter.socket",
    ] == [
        text[: len(expected)]
        for text, expected in zip(
            err.splitlines(),
            (
                f"openclick: {path}:8: links.port = -1: need a",
                f"openclick: {path}:10: milter.socket",
            ),
            strict=True,
        )
    ]


def test_settings_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Likewise."""
    status, _, err = ended(capsys, "--config", f"{tmp_path}/none", "config", "check")

    assert (78, f"openclick: {tmp_path}/none: cannot be read: No such file or directory\n") == (
        status,
        err,
    )


def test_store_is_missing(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 69 and one line, before `openclick init` has run."""
    status, _, err = ended(capsys, "--config", str(config_path), "domain", "list")

    assert status == 69
    assert re.fullmatch(r"openclick: .*/store/openclick\.db: cannot be created: .*\n", err)


def test_keys_are_missing(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Likewise."""
    status, _, err = ended(capsys, "--config", str(config_path), "keys", "list")

    assert status == 69
    assert re.fullmatch(r"openclick: .*/keys: cannot be listed: No such file or directory\n", err)


# --- init


def test_init_makes_what_both_daemons_need(run: Run, tmp_path: Path) -> None:
    """The store's directory, openclick.db, the first key, each with its rights."""
    result = run("init", "--group", GROUP)

    store, keys = tmp_path / "store", tmp_path / "keys"
    assert result.exit_code == 0
    assert result.output == f"store: {store}\nkeys:  {keys} (1); back them up\n"
    assert (0o2770, 0o660) == (mode(store), mode(store / "openclick.db"))
    assert (0o750, 0o640) == (mode(keys), mode(keys / "000.v1.key"))
    assert (0,) == load_keys(str(keys)).key_ids


def test_init_again_keeps_what_is_there(ready: Run, tmp_path: Path) -> None:
    """No second key, no lost domain; the rights are set anew."""
    ready("domain", "add", "kontor.example")
    key = (tmp_path / "keys" / "000.v1.key").read_bytes()
    for path in ("store", "store/openclick.db", "keys", "keys/000.v1.key"):
        (tmp_path / path).chmod(0o700)

    result = ready("init", "--group", GROUP)

    assert result.exit_code == 0
    assert [0o2770, 0o660, 0o750, 0o640] == [
        mode(tmp_path / path) for path in ("store", "store/openclick.db", "keys", "keys/000.v1.key")
    ]
    assert key == (tmp_path / "keys" / "000.v1.key").read_bytes()
    assert "kontor.example" in ready("domain", "list").output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to any group")
def test_init_mends_the_group(ready: Run, tmp_path: Path) -> None:
    """A first run with the wrong group is put right by a second one."""
    result = ready("init", "--group", "61999")

    assert result.exit_code == 0
    assert {61_999} == {
        (tmp_path / path).stat().st_gid
        for path in ("store", "store/openclick.db", "keys", "keys/000.v1.key")
    }


def test_init_of_an_unknown_group(run: Run, tmp_path: Path) -> None:
    """Status 2, before anything is made."""
    result = run("init", "--group", "no-such-group")

    assert result.exit_code == 2
    assert (
        "there is no group 'no-such-group'; make it, or name another with --group" in result.output
    )
    assert not (tmp_path / "store").exists()


def test_init_where_it_may_not(run: Run, tmp_path: Path) -> None:
    """Status 77 and one line that says what to do."""
    (tmp_path / "store").write_text("a file")

    result = run("init", "--group", GROUP)

    assert result.exit_code == 77
    assert f"openclick: {tmp_path}/store: File exists; run this as root" in result.output


# --- keys


def test_keys_rotate_and_list(ready: Run, tmp_path: Path) -> None:
    """The new one seals, the old one opens."""
    rotated = ready("keys", "rotate")
    listed = ready("keys", "list")

    assert rotated.output.startswith(f"{tmp_path}/keys/001.v1.key: made; ")
    assert listed.output == "000  opens\n001  seals and opens\n"


# --- config


def test_config_check(run: Run, config_path: Path) -> None:
    """One line, status 0."""
    result = run("config", "check")

    assert (0, f"{config_path}: no fault found\n") == (result.exit_code, result.output)


def test_config_check_reads_the_judges_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule or a network at fault is found before the sidecar is restarted: status 78."""
    rules = tmp_path / "rules.toml"
    rules.write_text('off = ["crawlers"]\n')
    path = write_config(tmp_path, judge={"rules_file": str(rules)})

    status, _, err = ended(capsys, "--config", str(path), "config", "check")

    assert (78, f"openclick: {rules}: off: 'crawlers': there is no such rule; did you mean ") == (
        status,
        err[: err.index("did you mean ") + 13],
    )


def test_config_sample() -> None:
    """Printed without a settings file; what is printed is the defaults."""
    result = CliRunner().invoke(openclick, ["--config", "/nonexistent", "config", "sample"])

    assert result.exit_code == 0
    assert Config() == parse_config(result.output, "sample")


# --- domain


def test_domain_add_says_what_to_publish(ready: Run) -> None:
    """The tracking domain's DNS record, and what comes next."""
    result = ready("domain", "add", "Kontor.Example.", "--opens")

    assert result.exit_code == 0
    assert result.output == (
        "domain             kontor.example\n"
        "opens by default   on\n"
        "clicks by default  off\n"
        "tracking domain    track.kontor.example\n"
        "links of new mail  http\n"
        "verification       full\n"
        "status             pending: publish the record below, and the sidecar will find it\n"
        "last checked       never\n"
        "certificate        none\n"
        "\n"
        "The DNS record to publish, as a line of a zone file:\n"
        "\n"
        "  track.kontor.example. 3600 IN CNAME mail.openclick.example.\n"
        "\n"
        "or in a provider's form:\n"
        "\n"
        "  Type    CNAME\n"
        "  Name    track\n"
        "  Target  mail.openclick.example\n"
    )


def test_domain_as_json(ready: Run) -> None:
    """Anypost's shape, with the record in dns_records."""
    added = json.loads(
        ready("domain", "add", "bücher.example", "--tracking-subdomain", "go", "--json").output
    )

    shown = json.loads(ready("domain", "show", "bücher.example", "--json").output)
    listed = json.loads(ready("domain", "list", "--json").output)

    assert [added] == listed == [shown]
    assert added["id"].startswith("domain_")
    assert added["name"] == "xn--bcher-kva.example"
    assert {
        "opens_enabled": False,
        "clicks_enabled": False,
        "subdomain": "go",
        "domain": "go.xn--bcher-kva.example",
        "scheme": "auto",
        "link_scheme": "http",
        "verification": "full",
        "dns_records": [
            {
                "type": "CNAME",
                "name": "go.xn--bcher-kva.example",
                "value": "mail.openclick.example",
                "purpose": "tracking",
            }
        ],
        "status": "disabled",
        "verified_at": None,
        "checked_at": None,
        "verification_failure": None,
        "certificate": None,
    } == added["tracking"]


def test_domain_is_there_already(ready: Run) -> None:
    """Status 1, and the way to look at it."""
    ready("domain", "add", "kontor.example")

    result = ready("domain", "add", "KONTOR.example", "--opens")

    assert result.exit_code == 1
    assert result.output == (
        "Error: kontor.example is there already; see: openclick domain show kontor.example, or: "
        "openclick domain verify --wait kontor.example\n"
    )


@pytest.mark.parametrize("name", ["", "a b", "kontor.example/", "-a.example", "a\nb"])
def test_domain_that_is_none(ready: Run, name: str) -> None:
    """Status 2; nothing is added."""
    assert ready("domain", "add", "--", name).exit_code == 2
    assert json.loads(ready("domain", "list", "--json").output) == []


def test_domain_that_is_not_added(ready: Run) -> None:
    """Status 1, and the way to look for it."""
    result = ready("domain", "show", "other.example")

    assert (1, "Error: other.example is not added; see: openclick domain list\n") == (
        result.exit_code,
        result.output,
    )


def test_no_domains(ready: Run) -> None:
    """The empty list says how to begin."""
    assert ready("domain", "list").output.startswith("No domain is added yet; add one with: ")


def test_domain_list(ready: Run, registry: Registry) -> None:
    """One line a domain, by name, with where it stands."""
    for number, name in enumerate(("b.example", "a.example")):
        registry.domains.add(a_domain(domain_id=str(number), name=name))
    registry.domains.record_verified("b.example", NOW, https=True)

    lines = ready("domain", "list").output.splitlines()

    assert ["DOMAIN", "TRACKING", "DOMAIN", "LINKS", "OPENS", "CLICKS", "STATUS"] == lines[
        0
    ].split()
    assert ["a.example", "track.a.example", "http", "on", "on", "pending"] == lines[1].split()
    assert ["b.example", "track.b.example", "https", "on", "on", "verified"] == lines[2].split()


# --- webhook


def test_webhook_add_shows_the_secret_once(ready: Run) -> None:
    """Full when added, its beginning ever after."""
    added = json.loads(ready("webhook", "add", "https://hooks.kontor.example/in", "--json").output)
    listed = json.loads(ready("webhook", "list", "--json").output)

    secret = added.pop("signing_secret")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", secret)
    assert [added] == listed
    assert secret[:12] == added["signing_secret_prefix"]
    assert re.fullmatch(r"wh_[0-9a-f-]{36}", added["id"])
    assert ("hooks.kontor.example", "active", ["email.opened", "email.clicked"], []) == (
        added["name"],
        added["status"],
        added["events"],
        added["domains"],
    )


def test_webhook_options(ready: Run, registry: Registry) -> None:
    """Name, events and sending domains; domains are compared as A-labels in lower case."""
    result = ready(
        "webhook", "add", "https://hooks.kontor.example/", "--name", "shop",
        "--event", "email.bounced", "--domain", "Bücher.example", "--domain", "kontor.example.",
    )  # fmt: skip

    (webhook,) = registry.webhooks.many_webhooks()
    assert result.exit_code == 0
    assert f"signing secret  {webhook.secret}\n" in result.output
    assert ("shop", ("email.bounced",), ("xn--bcher-kva.example", "kontor.example")) == (
        webhook.name,
        webhook.events,
        webhook.domains,
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.kontor.example/",
        "ftp://hooks.kontor.example/",
        "hooks.kontor.example",
        "https://",
        "https:///in",
        "https://hooks.kontor.example:x/",
        "https://[::1/",
        "https://user:password@hooks.kontor.example/",
        "https://hooks.kontor.example/a b",
        "https://hooks.kontor.example/\n",
        "",
    ],
)
def test_webhook_address_that_cannot_be_posted_to(ready: Run, url: str) -> None:
    """Status 2; nothing is added."""
    result = ready("webhook", "add", "--", url)

    assert result.exit_code == 2
    assert json.loads(ready("webhook", "list", "--json").output) == []


def test_webhook_by_http_needs_a_setting(tmp_path: Path) -> None:
    """Events hold personal data; the error names the setting, which then allows it."""
    strict = ["--config", str(write_config(tmp_path))]
    CliRunner().invoke(openclick, [*strict, "init", "--group", GROUP])
    refused = CliRunner().invoke(openclick, [*strict, "webhook", "add", "http://a.example/"])

    loose = ["--config", str(write_config(tmp_path, webhooks={"allow_http": True}))]
    allowed = CliRunner().invoke(openclick, [*loose, "webhook", "add", "http://a.example/"])

    assert (2, 0) == (refused.exit_code, allowed.exit_code)
    assert "webhooks.allow_http = true" in refused.output


def test_webhook_for_an_unknown_event(ready: Run) -> None:
    """Status 2, with the names that are known."""
    result = ready("webhook", "add", "https://a.example/", "--event", "email.read")

    assert result.exit_code == 2
    assert "email.clicked" in result.output


def test_webhook_for_what_is_no_domain(ready: Run) -> None:
    """A typing error would otherwise filter everything out."""
    assert ready("webhook", "add", "https://a.example/", "--domain", "a b").exit_code == 2


def test_webhook_list(ready: Run, registry: Registry) -> None:
    """A table for people; an empty one says how to begin."""
    assert ready("webhook", "list").output.startswith("No webhook is added yet; add one with: ")
    registry.webhooks.add(a_webhook(webhook_id="wh_1", url="https://a.example/"))

    output = ready("webhook", "list").output

    assert "https://a.example/" in output
    assert "whsec_" not in output


# --- events


def test_no_events(ready: Run) -> None:
    """A sentence for people, an empty list for programs."""
    assert ready("events").output == "No event yet.\n"
    assert ready("events", "--json").output == "[]\n"


def test_events_as_json(ready: Run, registry: Registry) -> None:
    """The payloads as webhooks get them, newest first, as many as asked for."""
    log_events(registry, range(1, 31))

    twenty = json.loads(ready("events", "--json").output)
    three = json.loads(ready("events", "--json", "--limit", "3").output)

    assert [f"evt_{n:032x}" for n in range(30, 10, -1)] == [event["id"] for event in twenty]
    assert twenty[:3] == three


def test_events_for_people(ready: Run, registry: Registry) -> None:
    """When, what, to whom, where to, about what."""
    log_events(registry, range(1, 2), a_message(subject="Boots"))

    output = " ".join(ready("events").output.split())

    for word in ("2025-11-23T", "email.clicked", "anna@reader", "Boots"):
        assert word in output


def test_events_of_several_recipients(ready: Run, registry: Registry) -> None:
    """Nobody is named who may not have been it."""
    log_events(registry, range(1, 2), a_message(recipients=("a@b.example", "c@d.example")))

    output = " ".join(ready("events").output.split())

    assert "2 candidates" in output
    assert "a@b.example" not in output


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_events_limit(ready: Run, limit: str) -> None:
    """1 to 1,000."""
    assert ready("events", "--limit", limit).exit_code == 2


def test_an_event_cannot_paint_the_terminal(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subject is a stranger's text: escape sequences are spelled out, markup is no markup."""
    monkeypatch.setenv("COLUMNS", "200")
    log_events(registry, range(1, 2), a_message(subject="\x1b[31mred\x9b1m\u202e[bold]x"))

    output = ready("events").output

    assert not {"\x1b", "\x9b", "\u202e"} & set(output)
    assert "\\u001b[31mred\\u009b1m\\u202e[bold]x" in output


def follow(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch, *options: str
) -> list[str]:
    """Follow the log while three events come, then press Ctrl-C; return the lines."""
    numbers = iter((10, 11, 12))

    def wait(_seconds: float) -> None:
        number = next(numbers, None)
        if number is None:
            raise KeyboardInterrupt
        log_events(registry, range(number, number + 1), a_message(subject="\x1b[31mred"))

    monkeypatch.setattr("time.sleep", wait)
    log_events(registry, range(1, 4))
    result = ready("events", "--follow", *options)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_following_for_people(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes from now on, a line each, with nothing that paints the terminal."""
    found = follow(ready, registry, monkeypatch)

    assert 3 == len(found)
    assert all(text.endswith("\\u001b[31mred") for text in found)


def test_following_many_at_once(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes faster than the wait is read without waiting."""
    waits = []

    def wait(_seconds: float) -> None:
        if waits:
            raise KeyboardInterrupt
        waits.append(1)
        log_events(registry, range(1, 351))

    monkeypatch.setattr("time.sleep", wait)

    result = ready("events", "--follow")

    assert 350 == len(result.output.splitlines())


def test_following_for_programs(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payloads themselves, in order, one a line."""
    found = follow(ready, registry, monkeypatch, "--json")

    assert [f"evt_{n:032x}" for n in (10, 11, 12)] == [json.loads(text)["id"] for text in found]
