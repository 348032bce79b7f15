"""`openclick apikey`, run in-process against a real store."""

from contextlib import closing

import pytest

from openclick.api_keys import secret_digest
from unit.admin.command_line import CommandLine

pytestmark = pytest.mark.usefixtures("tracked_domain")


def test_a_secret_is_shown_once(openclick: CommandLine) -> None:
    """When the key is made, and never again; the store knows it by its digest."""
    made = openclick("apikey", "create", "shop", "--json").json

    listed = openclick("apikey", "list", "--json").json
    with closing(openclick.store.registry()) as registry:
        found = registry.api_keys.maybe_key(secret_digest(made["secret"]))

    secret = made.pop("secret")
    assert listed == [made]
    assert secret.startswith("ap_")
    assert made["prefix"] == secret[:12]
    assert found is not None
    assert (found.key_id, found.permissions.value) == (made["id"], "full")


def test_a_key_for_people(openclick: CommandLine) -> None:
    """Fields when it is made, a row with the beginning of its secret afterwards."""
    made = openclick(
        *("apikey", "create", "shop", "--send-only", "--domain", "KONTOR.example"), columns=200
    )

    listed = openclick("apikey", "list", columns=200)

    assert "permissions  send_only\ndomains      kontor.example\nsecret       ap_" in made.text
    assert "send_only" in listed.text
    assert "in use" in listed.text
    assert f"{made.text.partition('secret       ')[2][:12]}..." in listed.text


def test_a_domain_that_is_not_added(openclick: CommandLine) -> None:
    """Is named, with what to do; no key is made."""
    done = openclick("apikey", "create", "shop", "--domain", "laden.example")

    assert done.status == 1
    assert "openclick domain add laden.example" in done.err
    assert openclick("apikey", "list").text.startswith("No key is made yet")


def test_a_bad_name(openclick: CommandLine) -> None:
    """Status 2: the command line is wrong."""
    assert openclick("apikey", "create", "sh\nop").status == 2


def test_revoking(openclick: CommandLine) -> None:
    """Once; the key stays in the list."""
    key_id = openclick("apikey", "create", "shop", "--json").json["id"]

    done = openclick("apikey", "revoke", key_id)
    again = openclick("apikey", "revoke", key_id)

    assert (done.status, done.text) == (0, f"{key_id}: revoked\n")
    assert again.status == 1
    assert openclick("apikey", "list", "--json").json[0]["revoked_at"] is not None
