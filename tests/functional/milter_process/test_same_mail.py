"""Mail that comes round again, or quotes one of ours, through a real Postfix (DESIGN 3.6)."""

from functional.milter_process.submissions import submit
from openclick.messages import Outcome
from support import messages
from support.deployment import DOMAIN, Deployment, as_submitted, delivered
from support.fixtures import requires_private_postfix
from support.processes import wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix


class TestSameMail:
    """Mail that already carries tokens of ours (DESIGN 3.6)."""

    def test_the_same_mail_coming_round_is_left_alone(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """Re-submitted with its Message-ID it leaves as it came: no second image, same links."""
        raw, once = submit(running, sink)
        again = as_submitted(once)
        sink.clear()

        sent = send(running.submission, f"news@{DOMAIN}", messages.RECIPIENTS, again)
        twice = delivered(sink, raw)

        assert again == as_submitted(twice)
        reader = running.installation.store.message_reader()
        [row] = wait_until(lambda: reader.many_by_queue_id(str(sent.queue_id)), 5, "the row")
        reader.close()
        assert Outcome.UNTOUCHED is row.outcome
        assert "the same mail comes round again" in row.reason

    def test_a_reply_that_quotes_a_tracked_mail_gets_its_own_image(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """The quoted links and image stay as they are; new links are tracked."""
        _, once = submit(running, sink)
        [quoted_image] = open_images(once)
        quoted_link = tracking_links(once)[0]
        html = (
            f'<html><body><a href="https://new.example/">new</a><blockquote>'
            f'<a href="{quoted_link}">old</a><img src="{quoted_image}" width="1" height="1" alt="">'
            f"</blockquote></body></html>"
        )

        _, reply = submit(running, sink, html=html)

        assert 2 == len(open_images(reply))
        assert quoted_image in open_images(reply)
        assert quoted_link == tracking_links(reply)[1]
        assert tracking_links(reply)[0] not in tracking_links(once)
