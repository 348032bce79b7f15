"""SIGHUP: settings are read again in process, or stay as they were (DESIGN 3.11)."""

import re
import signal

from functional.milter_process.submissions import submit
from support.deployment import Deployment
from support.fixtures import requires_private_postfix
from support.processes import wait_until
from support.reading import open_images, tracking_links
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix


class TestReload:
    """SIGHUP."""

    def test_new_settings_hold_for_the_next_message(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """Another header prefix is obeyed after SIGHUP, without a restart."""
        before = self._rewrite(running, 'header_prefix = "X-Acme-"')

        _, arrived = submit(running, sink, headers={"X-Acme-Track-Clicks": "no"})
        self._put_back(running, before)

        assert (1, 0) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert b"X-Acme-" not in arrived

    def test_broken_settings_change_nothing_and_are_named(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """One line a fault; the old settings hold."""
        good = running.installation.config_path.read_text()

        running.installation.config_path.write_text(good + "\n[retention]\nmessages_days = 0\n")
        self._hang_up(running, "the settings stay as they were")
        _, arrived = submit(running, sink)
        running.installation.config_path.write_text(good)

        assert "retention.messages_days = 0: need a whole number from 1" in running.milter_log()
        assert 7 == len(tracking_links(arrived))

    def test_option_that_needs_a_restart_is_named(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """Another store address is not taken at run time; the log says which option waits."""
        good = running.installation.config_path.read_text()
        changed = re.sub(r'url = "sqlite:[^"]*"', 'url = "sqlite:/elsewhere"', good)

        running.installation.config_path.write_text(changed)
        self._hang_up(running, "store.url has changed: restart needed")
        _, arrived = submit(running, sink)
        self._put_back(running, good)

        assert 7 == len(tracking_links(arrived))

    def test_keys_that_cannot_be_read_any_more_change_nothing(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """A key file cut short: the keys that are held go on sealing, and the file is named."""
        broken = running.installation.state / "keys" / "200.v1.key"
        broken.write_text("short\n")

        self._hang_up(running, "keys and settings stay as they were")
        _, arrived = submit(running, sink)
        broken.unlink()

        assert f"keys: {broken}: " in running.milter_log()
        assert 7 == len(tracking_links(arrived))

    def _rewrite(self, deployment: Deployment, line: str) -> str:
        good = deployment.installation.config_path.read_text()
        deployment.installation.config_path.write_text(
            good.replace("[milter]\n", f"[milter]\n{line}\n")
        )
        self._hang_up(deployment, "settings: read again")
        return good

    def _put_back(self, deployment: Deployment, good: str) -> None:
        deployment.installation.config_path.write_text(good)
        self._hang_up(deployment, "settings: read again")

    def _hang_up(self, deployment: Deployment, expected: str) -> None:
        seen = len(deployment.milter_log())
        assert deployment.installation.milter is not None
        deployment.installation.milter.signal(signal.SIGHUP)
        wait_until(lambda: expected in deployment.milter_log()[seen:], 10, expected)


def test_vendor_headers_are_understood_and_removed(running: Deployment, sink: SmtpSink) -> None:
    """With vendor_headers on, X-PM-TrackOpens and X-MC-Track steer; ours win over them."""
    reload = TestReload()
    good = reload._rewrite(running, "vendor_headers = true")

    _, postmark = submit(running, sink, headers={"X-PM-TrackOpens": "false", "X-PM-Tag": "spring"})
    _, mandrill = submit(running, sink, headers={"X-MC-Track": "opens"})
    _, ours = submit(
        running, sink, headers={"X-PM-TrackOpens": "false", "X-Anypost-Track-Opens": "true"}
    )
    reload._put_back(running, good)

    assert (0, 7) == (len(open_images(postmark)), len(tracking_links(postmark)))
    assert (1, 0) == (len(open_images(mandrill)), len(tracking_links(mandrill)))
    assert 1 == len(open_images(ours))
    assert b"X-PM-" not in postmark
    assert b"X-MC-" not in mandrill
