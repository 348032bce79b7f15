"""What `openclick doctor` says of the store, the keys, hits, messages and webhooks."""

from dataclasses import replace
from pathlib import Path

import pytest

from openclick.instants import SECOND
from openclick.keys import rotate_keys
from openclick.settings import Config, KeySettings
from openclick.store import FileReport, open_store
from openclick.webhooks import Delivery, DeliveryState, WebhookStatus
from openclick_admin.doctor import judge_store, judge_traffic
from openclick_admin.doctor.facts import Facts, KeyFacts, TrafficFacts
from openclick_admin.doctor.gather_store import look_at_keys
from unit.doctor_facts import NOW, a_store, a_webhook_state, bad, healthy, one

PROXY = "10.0.0.1"
HOUR = 3600 * SECOND


def a_delivery(**fields: object) -> Delivery:
    """Return a delivery that failed five times and is due in three hours."""
    state = DeliveryState.PENDING
    found = Delivery(1, "wh_1", "b1", state, 5, NOW + 3 * HOUR, NOW - 2 * HOUR, 5)
    return replace(found, **fields)  # type: ignore[arg-type]


def with_report(**fields: object) -> Facts:
    """Return an installation with this hits.db alone."""
    report = FileReport("hits.db", made=True, schema=2)
    return healthy(store=a_store(reports=(replace(report, **fields),)))  # type: ignore[arg-type]


def with_addresses(*addresses: str, settings: tuple[str, ...] = ()) -> Facts:
    """Return an installation whose newest hits came from there."""
    return healthy(*settings, traffic=TrafficFacts(addresses, 10, 0))


class TestFiles:
    """The store's files."""

    @pytest.mark.parametrize(
        "text",
        [
            "database disk image is malformed",
            "has schema 1; need 2, see: openclick store migrate",
            "has mode 0644; need 0660, so that both daemons can use it",
            "has a write-ahead log of 300000000 bytes; some reader does not let go of it",
        ],
    )
    def test_a_file_with_a_fault(self, text: str) -> None:
        """Damage, schema, rights and log are found by the store itself."""
        assert one(judge_store.files, with_report(faults=(text,))).startswith(
            f"fault hits.db: {text}"
        )

    def test_no_store(self) -> None:
        """The directory is not there."""
        facts = healthy(store=a_store(fault="/var/lib/openclick: No such file or directory"))

        assert "openclick init" in one(judge_store.files, facts)

    def test_a_directory_with_wrong_rights(self) -> None:
        """A daemon cannot make its files there."""
        facts = healthy(store=a_store(directory_faults=("has mode 0755; need 2770",)))

        assert one(judge_store.files, facts).endswith("-> openclick init")

    def test_a_file_that_was_set_aside(self) -> None:
        """Nobody has looked at it yet."""
        path = "/var/lib/openclick/hits.db.corrupt-20261127T040813Z"

        assert one(judge_store.files, healthy(store=a_store(set_aside=(path,)))).startswith(
            f"warning {path}: was set aside as corrupt"
        )

    def test_a_file_of_many_gigabytes(self) -> None:
        """Retention is the cure."""
        assert "retention.hits_days" in one(judge_store.files, with_report(size_bytes=30 * 10**9))


class TestDisk:
    """Room, the journal, the judge."""

    def test_the_disk_is_full(self) -> None:
        """Fewer bytes than the reserve are free."""
        found = one(judge_store.space, healthy(store=a_store(free_bytes=1_000_000)))

        assert "1,000,000 bytes are free, 67,108,864 are kept in reserve: hits go to" in found

    def test_the_disk_is_nearly_full(self) -> None:
        """Told before it hurts."""
        facts = healthy(store=a_store(free_bytes=100_000_000))

        assert one(judge_store.space, facts).startswith("warning /var/lib/openclick:")

    def test_hits_wait_in_the_journal(self) -> None:
        """hits.db could not take them."""
        facts = healthy(store=a_store(journal_bytes=4096))

        assert "4,096 bytes of hits wait" in one(judge_store.space, facts)

    def test_hits_wait_for_the_judge(self) -> None:
        """Events do not come, though links work."""
        store = a_store(unjudged=812, unjudged_at=NOW - 600 * SECOND)

        found = one(judge_store.judging, healthy(store=store))

        assert found.startswith("fault judge: 812 hits wait to be judged, the oldest for 600 s")

    def test_hits_are_held_for_some_seconds(self) -> None:
        """That is how bursts are seen."""
        store = a_store(unjudged=3, unjudged_at=NOW - 2 * SECOND)

        assert bad(judge_store.judging, healthy(store=store)) == []


class TestKeys:
    """The keys of the links."""

    def test_no_key_can_be_read(self) -> None:
        """What load_keys said is passed on."""
        facts = healthy(keys=KeyFacts(fault="/var/lib/openclick/keys: holds no key"))

        assert "holds no key" in one(judge_store.keys, facts)

    def test_a_damaged_key(self) -> None:
        """Its links are dead; where new ones cannot be sealed either, that is said too."""
        damaged = KeyFacts((0,), unreadable=("001.v1.key: holds 0 bytes",), seals=False)

        dead, unsealed = bad(judge_store.keys, healthy(keys=damaged))

        assert dead.found == "001.v1.key: holds 0 bytes; the links that it sealed are dead"
        assert "mail goes out untracked" in unsealed.found

    def test_a_file_that_is_no_key(self) -> None:
        """It does no harm, and is in nobody's way."""
        facts = healthy(keys=KeyFacts((0,), strays=("256.v1.key: key ids end at 255",)))

        assert one(judge_store.keys, facts).startswith("warning /")

    def test_keys_as_they_lie_on_disk(self, tmp_path: Path) -> None:
        """What is read and what is not, with the reason."""
        rotate_keys(str(tmp_path))
        (tmp_path / "001.v1.key").write_bytes(b"")
        (tmp_path / "256.v1.key").write_bytes(b"")
        config = Config(keys=KeySettings(directory=str(tmp_path)))

        found = look_at_keys(config, open_store(f"sqlite:{tmp_path}"))

        assert (found.key_ids, found.seals, found.fault) == ((0,), False, "")
        assert found.unreadable == (f"{tmp_path}/001.v1.key: holds 0 bytes: need 64",)
        assert found.strays == (f"{tmp_path}/256.v1.key: key ids end at 255",)

    def test_everybody_may_read_a_key(self) -> None:
        """Who can open can seal: it is to be replaced."""
        found = one(judge_store.keys, healthy(keys=KeyFacts((0,), open_files=("000.v1.key",))))

        assert "chmod 0640 000.v1.key; openclick keys rotate" in found

    def test_a_key_of_another_group(self) -> None:
        """As after a copy without -p."""
        facts = healthy(keys=KeyFacts((0,), other_group=("000.v1.key",)))

        assert "a daemon cannot read it" in one(judge_store.keys, facts)

    def test_the_last_keys(self) -> None:
        """Ids end at 255 and are never used twice."""
        facts = healthy(keys=KeyFacts((0, 253)))

        assert "only 2 more keys can be made" in one(judge_store.keys, facts)


class TestClientAddresses:
    """Whether hits name the readers."""

    @pytest.mark.parametrize("address", [PROXY, "127.0.0.1", "fd00::1", "100.64.0.9"])
    def test_all_hits_from_one_private_address(self, address: str) -> None:
        """A proxy that is not trusted: the setting is told as it is to be written."""
        found = one(judge_traffic.client_addresses, with_addresses(*[address] * 20))

        assert found.startswith(f"fault hits: all of the newest 20 come from {address}")
        assert f'set sidecar.trusted_proxies = ["{address}/' in found

    def test_all_hits_from_two_private_addresses(self) -> None:
        """Perhaps two proxies, perhaps an office."""
        facts = with_addresses(*["10.0.0.1", "10.0.0.2"] * 10)

        assert one(judge_traffic.client_addresses, facts).startswith("warning hits:")

    def test_one_reader_from_a_public_address(self) -> None:
        """A mailbox provider's image proxy, say."""
        assert bad(judge_traffic.client_addresses, with_addresses(*["93.184.216.9"] * 20)) == []

    def test_too_few_hits_to_tell(self) -> None:
        """The admin's own first clicks come from next door."""
        assert bad(judge_traffic.client_addresses, with_addresses(*[PROXY] * 4)) == []

    def test_every_proxy_is_trusted(self) -> None:
        """Then anybody writes the address that the event names."""
        facts = with_addresses(settings=('trusted_proxies = ["0.0.0.0/0"]',))

        assert "anybody may claim any address" in one(judge_traffic.client_addresses, facts)


class TestMessages:
    """What became of the last day's mail."""

    def test_internal_errors(self) -> None:
        """A fault of ours, by its words."""
        reason = "internal error KeyError('x')"
        facts = healthy(traffic=TrafficFacts((), 5, 1, {reason: 1}))

        assert one(judge_traffic.messages, facts).startswith("fault messages: 1 of the last day")

    def test_nothing_was_tracked(self) -> None:
        """The most frequent reason is told."""
        facts = healthy(traffic=TrafficFacts((), 0, 9, {"not html": 2, "opens are off": 7}))

        assert "none of the 9 of the last day was tracked; 7 for: opens are off" in one(
            judge_traffic.messages, facts
        )

    def test_no_mail_at_all(self) -> None:
        """A quiet day is no fault."""
        assert bad(judge_traffic.messages, healthy(traffic=TrafficFacts())) == []

    def test_they_cannot_be_counted(self) -> None:
        """The milter has not made its file yet."""
        facts = healthy(traffic=TrafficFacts(fault="messages.db: no such file"))

        assert "messages.db: no such file" in one(judge_traffic.messages, facts)


class TestWebhooks:
    """Whether events arrive."""

    def test_none_is_added(self) -> None:
        """Events are kept, and nobody gets them."""
        found = one(judge_traffic.webhooks, healthy(webhooks=()))

        assert "openclick webhook add URL" in found

    def test_its_circuit_is_open(self) -> None:
        """With the reason, and how it goes on."""
        state = a_webhook_state(
            status=WebhookStatus.CIRCUIT_DISABLED, status_reason="10 failed attempts in a row"
        )

        found = one(judge_traffic.webhooks, healthy(webhooks=(state,)))

        assert "its circuit is open, events wait: 10 failed attempts in a row" in found

    def test_it_is_disabled(self) -> None:
        """It answered 410, say."""
        state = a_webhook_state(status=WebhookStatus.DISABLED, status_reason="answered 410")

        assert "skips events: answered 410" in one(
            judge_traffic.webhooks, healthy(webhooks=(state,))
        )

    def test_its_last_attempts_failed(self) -> None:
        """The circuit is closed still."""
        found = one(judge_traffic.webhooks, healthy(webhooks=(a_webhook_state(failures=4),)))

        assert "the last 4 attempts failed" in found

    def test_events_wait_though_no_attempt_failed(self) -> None:
        """Nobody posts them."""
        state = a_webhook_state(waiting_since=NOW - 7200 * SECOND)

        assert "its oldest event waits since" in one(
            judge_traffic.webhooks, healthy(webhooks=(state,))
        )

    def test_one_delivery_waits_for_its_next_attempt(self) -> None:
        """Healthy but unusual: the list has waits of 2 to 12 hours, and others get through."""
        state = a_webhook_state(waiting_since=NOW - 2 * HOUR, oldest=a_delivery())

        found = one(judge_traffic.webhooks, healthy(webhooks=(state,)))

        assert found == (
            "warning wh_1 https://hooks.kontor.example/in: 5 attempts of delivery b1 failed, the "
            "next comes at 2025-11-24T01:40:00.123Z; others get through -> openclick webhook "
            "deliveries wh_1"
        )

    @pytest.mark.parametrize(("oldest_due", "due"), [(3, -2), (-2, -2)])
    def test_a_delivery_that_is_due_is_not_posted(self, oldest_due: int, due: int) -> None:
        """Beside one that waits for its time, or that one itself."""
        oldest = a_delivery(next_attempt_at=NOW + oldest_due * HOUR)
        state = a_webhook_state(
            waiting_since=NOW - 9 * HOUR, oldest=oldest, due_at=NOW + due * HOUR
        )

        found = one(judge_traffic.webhooks, healthy(webhooks=(state,)))

        assert found.startswith("fault wh_1")
        assert "does the sidecar run?" in found

    def test_old_events_are_sent_again(self) -> None:
        """Healthy but unusual: a replay, whose deliveries are due now."""
        oldest = a_delivery(attempts=0, next_attempt_at=NOW - 5 * SECOND)
        state = a_webhook_state(waiting_since=NOW - 900 * HOUR, oldest=oldest)

        assert bad(judge_traffic.webhooks, healthy(webhooks=(state,))) == []

    def test_deliveries_were_given_up(self) -> None:
        """They can be sent again."""
        found = one(judge_traffic.webhooks, healthy(webhooks=(a_webhook_state(abandoned=2),)))

        assert "openclick webhook retry wh_1 --abandoned" in found

    def test_an_address_without_tls(self) -> None:
        """It was added while webhooks.allow_http was on."""
        state = a_webhook_state(url="http://hooks.kontor.example/in")

        assert "is no https address" in one(judge_traffic.webhooks, healthy(webhooks=(state,)))
