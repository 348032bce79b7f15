"""`openclick webhook add` and `list`: the secret, the options, what is refused."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from openclick.store import Registry
from openclick_admin.main import openclick
from unit.admin.fresh_installation import GROUP, Run, write_config
from unit.samples import a_webhook


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
