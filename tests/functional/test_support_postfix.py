"""The private Postfix carries mail unchanged, plays every role asked of it, and leaves nothing."""

import os
import smtplib
import socket
import stat
from pathlib import Path

import pytest

from support import messages
from support.fixtures import requires_private_postfix
from support.messages import send
from support.postfix import PostfixUnavailable, PrivatePostfix
from support.processes import free_port, is_alive, port_listens
from support.smtp_client import SmtpSession
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix

SENDER = "news@kontor.example"
READER = "anna@reader.example"
STRANGER = {"ADDR": "203.0.113.9", "NAME": "mx.stranger.example", "HELO": "stranger.example"}


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "quoted-printable", "base64"])
def test_mail_arrives_byte_for_byte(
    postfix: PrivatePostfix, sink: SmtpSink, encoding: messages.TransferEncoding
) -> None:
    """Postfix puts one Received field on top and changes nothing else."""
    listener = postfix.add_listener(f"plain-{encoding}")
    raw = messages.newsletter(encoding=encoding)

    result = send(listener, SENDER, [READER], raw, mail_options=["BODY=8BITMIME"])
    [arrived] = sink.wait_for(1)

    assert result.accepted
    assert arrived.content.startswith(b"Received: from ")
    assert arrived.content.endswith(b"\r\n" + raw)
    assert b"Received" not in arrived.content[10 : -len(raw)]
    assert (arrived.sender, arrived.recipients) == (SENDER, (READER,))


def test_awkward_lines_arrive_byte_for_byte(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """Leading dots, the longest line that SMTP allows, an empty line at the end."""
    listener = postfix.add_listener("awkward")
    raw = messages.text_only(text=f"..two\n.\n{'x' * 998}\n.one\n\n", encoding="8bit")

    send(listener, SENDER, [READER], raw)
    [arrived] = sink.wait_for(1)

    assert arrived.content.endswith(raw)
    assert arrived.body_bytes.startswith(b"..two\r\n.\r\n")
    assert arrived.headers_bytes.endswith(b"\r\n")


def test_reply_names_the_queue_id_of_the_log(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """The id in the 250 is the one that the log gives for the Message-ID."""
    listener = postfix.add_listener("ids")
    raw = messages.text_only(message_id="<ids-1@kontor.example>")

    result = send(listener, SENDER, [READER], raw)
    sink.wait_for(1)
    sent = postfix.wait_for_log(rf"{result.queue_id}: to=<{READER}>.* status=(\w+)")

    assert postfix.queue_ids("<ids-1@kontor.example>") == [result.queue_id]
    assert sent.group(1) == "sent"


def test_two_listeners_have_options_of_their_own(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """What one variant refuses, the other takes, in one instance."""
    small = postfix.add_listener("small", options={"message_size_limit": "500"})
    large = postfix.add_listener("large")
    raw = messages.newsletter()

    refused = send(small, SENDER, [READER], raw)
    accepted = send(large, SENDER, [READER], raw)
    sink.wait_for(1)

    assert (refused.code, refused.stage, refused.queue_id) == (552, "data", None)
    assert accepted.accepted
    assert len(sink.messages) == 1


def test_several_messages_travel_over_one_session(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """A refused one in between does not end the session."""
    listener = postfix.add_listener("session")
    raw = messages.text_only()

    with SmtpSession(listener) as session:
        results = [
            session.send(SENDER, [READER], raw),
            session.send("not an address", [READER], raw),
            session.send(SENDER, [READER, "bert@reader.example"], raw),
        ]
    arrived = sink.wait_for(2)

    assert [(result.code, result.stage) for result in results] == [
        (250, "data"),
        (501, "mail"),
        (250, "data"),
    ]
    assert sorted(len(message.recipients) for message in arrived) == [1, 2]


@pytest.mark.parametrize("chroot", [False, True])
def test_auth_plain_logs_in(postfix: PrivatePostfix, sink: SmtpSink, chroot: bool) -> None:
    """The login is real: Postfix logs the user, chrooted or not."""
    listener = postfix.add_listener(f"auth-{chroot}", sasl=True, chroot=chroot)

    result = send(listener, SENDER, [READER], messages.text_only(), login=("app", "secret"))
    [arrived] = sink.wait_for(1)
    postfix.wait_for_log(rf"{result.queue_id}: .*sasl_method=PLAIN, sasl_username=app")

    assert result.accepted
    assert b"with ESMTPA" in arrived.headers_bytes


def test_auth_plain_without_initial_response_logs_in(postfix: PrivatePostfix) -> None:
    """Some clients wait for the challenge first."""
    listener = postfix.add_listener("auth-challenge", sasl=True)

    with smtplib.SMTP(listener.host, listener.port, "app.kontor.example", 10) as client:
        client.ehlo()
        client.user, client.password = "app", "secret"
        reply = client.auth("PLAIN", client.auth_plain, initial_response_ok=False)

    assert reply[0] == 235


def test_wrong_password_is_refused(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """A login that fails is a result of stage login, and no mail passes."""
    listener = postfix.add_listener("auth-wrong", sasl=True)

    result = send(listener, SENDER, [READER], messages.text_only(), login=("app", "guess"))

    assert (result.code, result.stage) == (535, "login")
    assert sink.messages == []


def test_xclient_plays_a_stranger(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """Address, name, HELO and login are what XCLIENT says, and the stranger is heard."""
    listener = postfix.add_listener("stranger", xclient=True)

    result = send(
        listener,
        SENDER,
        [READER],
        messages.text_only(),
        xclient=STRANGER | {"LOGIN": "news app+1"},
    )
    [arrived] = sink.wait_for(1)
    postfix.wait_for_log(rf"{result.queue_id}: client=mx.stranger.example\[203.0.113.9\]")

    assert result.accepted
    assert b"(mx.stranger.example [203.0.113.9])" in arrived.headers_bytes


def test_xclient_is_refused_where_nobody_asked_for_it(postfix: PrivatePostfix) -> None:
    """Other listeners believe the connection only."""
    listener = postfix.add_listener("no-xclient")

    result = send(listener, SENDER, [READER], messages.text_only(), xclient=STRANGER)

    assert (result.code, result.stage) == (550, "xclient")


def test_sendmail_submits(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """sendmail(1) with this instance's configuration reaches the sink, all recipients at once."""
    raw = messages.text_only()

    done = postfix.sendmail(["-i", "-f", SENDER, "--", READER, "bert@reader.example"], raw)
    [arrived] = sink.wait_for(1)

    assert (done.returncode, done.stderr) == (0, b"")
    assert arrived.recipients == (READER, "bert@reader.example")
    assert arrived.content.endswith(raw)


def test_smtputf8_addresses_arrive(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """An address with ü travels as UTF-8 from end to end."""
    listener = postfix.add_listener("utf8")
    raw = messages.text_only(recipients=("jürgen@reader.example",))

    result = send(
        listener, SENDER, ["jürgen@reader.example"], raw, mail_options=["SMTPUTF8", "BODY=8BITMIME"]
    )
    [arrived] = sink.wait_for(1)

    assert result.accepted
    assert arrived.recipients == ("jürgen@reader.example",)


def test_deferred_mail_arrives_after_flush(postfix: PrivatePostfix, sink: SmtpSink) -> None:
    """What the sink refused for now stays queued until it is flushed."""
    listener = postfix.add_listener("deferred")
    sink.refuse("451 4.3.0 later")

    result = send(listener, SENDER, [READER], messages.text_only())
    postfix.wait_for_log(rf"{result.queue_id}: .*status=deferred")
    queued = [path.name for path in postfix.queued_files()]
    sink.refuse(None)
    postfix.flush()
    sink.wait_for(1)
    postfix.wait_for_empty_queue()

    assert result.queue_id in queued
    assert result.queue_id not in [path.name for path in postfix.corrupt_files()]


def test_changed_setting_holds_for_the_next_connection(sink: SmtpSink) -> None:
    """configure returns when no process with the old setting is left."""
    with PrivatePostfix(sink.port, main_cf={"message_size_limit": "500"}) as instance:
        listener = instance.add_listener("changed")
        raw = messages.newsletter()

        before = send(listener, SENDER, [READER], raw)
        instance.configure(message_size_limit="0")
        after = send(listener, SENDER, [READER], raw)

    assert (before.code, after.code) == (552, 250)


def test_added_service_is_used(sink: SmtpSink) -> None:
    """A transport of its own, as the split per recipient needs it: one copy a recipient."""
    with PrivatePostfix(sink.port, main_cf={"split_destination_recipient_limit": "1"}) as instance:
        instance.add_service("split unix - - n - 20 smtp")
        inner = instance.add_listener("inner")
        options = {"content_filter": f"split:[{inner.host}]:{inner.port}"}
        outer = instance.add_listener("outer", options=options)
        raw = messages.text_only(message_id="<split@kontor.example>")

        send(outer, SENDER, [READER, "bert@reader.example"], raw)
        arrived = sink.wait_for(2)
        ids = instance.queue_ids("<split@kontor.example>")

    assert sorted(message.recipients for message in arrived) == [
        (READER,),
        ("bert@reader.example",),
    ]
    assert len(ids) == 3


def test_without_a_sink_all_mail_is_discarded() -> None:
    """For load: the queue empties and nothing goes anywhere."""
    with PrivatePostfix() as instance:
        listener = instance.add_listener("load")

        result = send(listener, SENDER, [READER], messages.text_only())
        instance.wait_for_log(rf"{result.queue_id}: .*relay=none, .*status=sent")
        instance.wait_for_empty_queue()

    assert result.accepted


def test_milter_that_is_away_shows_its_default_action(
    postfix: PrivatePostfix, sink: SmtpSink
) -> None:
    """The two words of 3.7 and 3.10 alike: accept lets pass, tempfail makes wait."""
    away = "unix:openclick/nobody.sock"
    lenient = postfix.add_listener("lenient", away, "accept", chroot=True)
    strict = postfix.add_listener("strict", away, "tempfail")
    raw = messages.text_only()

    results = [send(listener, SENDER, [READER], raw) for listener in (lenient, strict)]
    sink.wait_for(1)

    assert [(result.code, result.stage) for result in results] == [(250, "data"), (451, "mail")]


def test_milter_socket_directory_is_the_milters_and_postfixs(postfix: PrivatePostfix) -> None:
    """Owner as given, group postfix, setgid, closed to others, inside the queue."""
    directory = postfix.milter_socket_dir(uid=12345)

    found = directory.stat()

    assert directory.parent == postfix.queue_dir
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (12345, 0o2750)
    assert directory.group() == "postfix"


def test_nothing_is_left_behind(sink: SmtpSink) -> None:
    """After stop: no process, no listening port, no directory; the log can still be read."""
    instance = PrivatePostfix(sink.port)
    before = instance.add_listener("before", sasl=True)
    instance.start()
    after = instance.add_listener("after")
    send(after, SENDER, [READER], messages.text_only())
    sink.wait_for(1)
    pids = instance.processes()

    instance.stop()
    instance.stop()

    assert len(pids) >= 3
    assert not any(map(is_alive, pids))
    assert not any(port_listens(listener.port) for listener in (before, after))
    assert not instance.directory.exists()
    assert "daemon started" in instance.queue_log()


def test_stop_ends_an_instance_whose_session_is_open(sink: SmtpSink) -> None:
    """A client that keeps its connection does not keep Postfix alive."""
    with PrivatePostfix(sink.port) as instance:
        listener = instance.add_listener("held")
        client = smtplib.SMTP(listener.host, listener.port, "app.kontor.example", 10)
    client.close()

    assert instance.processes() == set()
    assert not instance.directory.exists()


def test_failed_start_says_why_and_leaves_nothing() -> None:
    """A setting that Postfix refuses is quoted from its own words."""
    instance = PrivatePostfix(main_cf={"inet_interfaces": "192.0.2.77"})
    instance.add_listener("never")

    with pytest.raises(RuntimeError, match="no local interface found"), instance:
        pytest.fail("it must not start")

    assert not instance.directory.exists()


def test_taken_port_is_named() -> None:
    """Postfix itself only says that it failed; which port was in the way is added."""
    instance = PrivatePostfix()
    listener = instance.add_listener("taken")

    with (
        socket.create_server((listener.host, listener.port)),
        pytest.raises(RuntimeError, match=rf"ports in use: \[{listener.port}\]"),
        instance,
    ):
        pytest.fail("it must not start")

    assert not instance.directory.exists()


def test_closed_parent_directory_is_named(tmp_path: Path) -> None:
    """pytest's own tmp_path is 0700: master would fail with a misleading permission error."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(PostfixUnavailable, match="user postfix must be able to pass"):
        PrivatePostfix(parent=closed)

    assert list(closed.iterdir()) == []


def test_without_root_the_reason_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found and what is needed."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(PostfixUnavailable, match="running as uid 1000, root is needed"):
        PrivatePostfix(free_port())
