"""Keys of the HTTP API: their secrets, what they allow, and how the store keeps them."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from openclick.api_keys import ApiKey, Permissions, new_api_secret, secret_digest
from openclick.store import open_store

KEY = ApiKey("key_1", "shop", "ap_AAAAAAAAA", Permissions.FULL, (), 1)


def test_a_secret() -> None:
    """It is ap_ and 256 random bits, in characters that need no quoting anywhere."""
    secret = new_api_secret(lambda count: bytes(range(count)))

    assert secret == "ap_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_which_domains_a_key_allows() -> None:
    """All, or those that it names; where nobody knows the domain, only a key for all."""
    limited = replace(KEY, allowed_domains=("kontor.example",))

    assert KEY.allows("any.example")
    assert KEY.allows(None)
    assert limited.allows("kontor.example")
    assert not limited.allows("any.example")
    assert not limited.allows(None)


def test_a_key_is_found_by_the_digest_of_its_secret(tmp_path: Path) -> None:
    """No other secret finds it, and the file does not hold the secret."""
    key = replace(KEY, permissions=Permissions.SEND_ONLY, allowed_domains=("a.example",))
    with closing(open_store(f"sqlite:{tmp_path}").registry()) as registry:
        registry.api_keys.add(key, secret_digest("ap_secret-of-the-shop"))

        found = registry.api_keys.maybe_key(secret_digest("ap_secret-of-the-shop"))
        other = registry.api_keys.maybe_key(secret_digest("ap_secret-of-the-shoq"))

    assert key == found
    assert other is None
    assert all(b"secret-of-the-shop" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_revoked_key(tmp_path: Path) -> None:
    """It stays in the list with the instant, and cannot be revoked twice."""
    with closing(open_store(f"sqlite:{tmp_path}").registry()) as registry:
        registry.api_keys.add(KEY, b"d" * 32)

        done = [registry.api_keys.revoke(key_id, 7) for key_id in ("key_1", "key_1", "key_2")]
        keys = registry.api_keys.many_keys()

    assert done == [True, False, False]
    assert keys == [replace(KEY, revoked_at=7)]
