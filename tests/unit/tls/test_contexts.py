"""TLS on connections in memory: names, contexts, ALPN, sessions, refusals."""

import ssl
import warnings

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from support.authority import replace
from unit.tls.tls_world import BROWSER, NAME, OTHER, PEER, VERSIONS, World, of_version
from unit.wire import Wire


@pytest.mark.parametrize("version", VERSIONS)
def test_a_browsers_handshake(world: World, version: ssl.TLSVersion) -> None:
    """It offers h2 and http/1.1 and gets http/1.1, and then its answer."""
    client = world.connect(of_version(world.ca.client(*BROWSER), version))

    assert client.tls.selected_alpn_protocol() == "http/1.1"
    assert client.ask().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("http/1.0",), ("h2",)])
def test_other_clients(world: World, protocols: tuple[str, ...]) -> None:
    """Without ALPN, or with a protocol that we do not speak, http/1.1 is what there is."""
    client = world.connect(world.ca.client(*protocols))

    chosen = "http/1.1" if "http/1.1" in protocols else None
    assert client.tls.selected_alpn_protocol() == chosen
    assert client.ask().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["unbekannt.example", None])
def test_an_unknown_name_is_refused(
    world: World, version: ssl.TLSVersion, name: str | None
) -> None:
    """By the handshake itself: no certificate of somebody else's is ever shown."""
    context = of_version(world.ca.client(*BROWSER), version)
    context.check_hostname = False

    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        world.connect(context, name)

    assert {"unknown name" if name else "no name": 1} == world.counters.refused_hellos


def test_a_name_without_a_usable_certificate(world: World) -> None:
    """Is refused like an unknown one, and counted by itself."""
    replace(world.directory / f"{OTHER}.pem", b"half")

    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        world.connect(world.ca.client(), OTHER)

    assert {"no usable certificate": 1} == world.counters.refused_hellos


def test_each_name_gets_its_own(world: World) -> None:
    """In whatever case it is asked for, with its chain."""
    issued = world.ca.put(world.directory, OTHER)

    client = world.connect(world.ca.client(*BROWSER), OTHER.upper())

    assert issued.leaf == client.tls.getpeercert(binary_form=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed(world: World, version: ssl.TLSVersion) -> None:
    """Across the move from the nameless context to the name's."""
    context = of_version(world.ca.client(*BROWSER), version)
    first = world.connect(context)
    first.ask()  # TLS 1.3 sends its tickets after the handshake
    world.session = first.tls.session

    second = world.connect(context)

    assert (False, True) == (first.tls.session_reused, second.tls.session_reused)
    assert second.ask().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_new_file_is_shown_to_the_next_client(world: World) -> None:
    """Nobody restarts anything; who is connected stays."""
    early = world.connect(world.ca.client(*BROWSER))
    issued = world.ca.put(world.directory, NAME)

    late = world.connect(world.ca.client(*BROWSER))

    assert issued.leaf == late.tls.getpeercert(binary_form=True)
    assert issued.leaf != early.tls.getpeercert(binary_form=True)
    assert early.ask().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_context_is_made_once(world: World) -> None:
    """And again only when the certificate is another one."""
    contexts = world.contexts
    assert {} == contexts._contexts

    world.connect(world.ca.client())
    first = contexts._contexts[NAME]
    world.connect(world.ca.client())

    assert [first] == list(contexts._contexts.values())


def test_many_names_do_not_fill_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context that was not used for longest is given up, and made again when asked for."""
    monkeypatch.setattr("openclick_sidecar.tls._MOST_CONTEXTS", 2)
    names = [f"a{number}.kontor.example" for number in range(3)]
    for name in names:
        world.ca.put(world.directory, name)

    for name in [*names, names[0]]:
        world.connect(world.ca.client(), name)

    assert [names[2], names[0]] == list(world.contexts._contexts)


def test_old_protocols_are_refused(world: World) -> None:
    """TLS 1.1 and older have been forbidden by RFC 8996."""
    context = world.ca.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python, too, says that they are forbidden
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(ssl.SSLError):
        world.connect(context)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 600])
def test_what_is_no_tls(world: World, data: bytes) -> None:
    """Ends the connection, and its place is free again."""
    protocol = world.door.buildProtocol(PEER)
    wire = Wire()
    assert protocol is not None
    protocol.makeConnection(wire)

    protocol.dataReceived(data)

    assert wire.disconnecting or wire.disconnected
    protocol.connectionLost(Failure(ConnectionDone()))
    assert world.admission.open == 0


def test_a_fault_of_our_own_refuses(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong while a name is looked up ends that handshake alone, and is told."""
    monkeypatch.setattr(world.contexts._shelf, "find", lambda _name: 1 / 0)

    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        world.connect(world.ca.client())

    assert "internal error, connection refused" in caplog.text
