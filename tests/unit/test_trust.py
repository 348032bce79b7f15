"""Whose certificates are believed: the system's authorities, and those of a file."""

from pathlib import Path

import pytest

from openclick.config import ConfigError
from openclick.settings import Config
from openclick.webhook_settings import WebhookSettings
from openclick_sidecar.trust import own_authorities, trust_root
from support.private_authority import PrivateAuthority


def config(path: Path | str) -> Config:
    """Return settings that name a file of authorities."""
    return Config(webhooks=WebhookSettings(ca_file=str(path)))


def test_no_file_is_the_systems_trust() -> None:
    """Nothing is read."""
    assert [] == own_authorities(Config())
    assert trust_root([]) is not None


def test_a_file_of_several(tmp_path: Path) -> None:
    """Each certificate in it, whatever text stands between them."""
    paths = [PrivateAuthority(tmp_path, name).ca_path for name in ("first", "second")]
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("\n# and\n".join(path.read_text("ascii") for path in paths), "ascii")

    found = own_authorities(config(bundle))

    assert [path.read_bytes().strip() for path in paths] == found
    assert trust_root(found) is not None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"", "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is at fault"),
        (b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----\n", "is at fault"),
    ],
)
def test_a_file_at_fault(tmp_path: Path, content: bytes | None, told: str) -> None:
    """The sidecar does not start with less trust than the settings say."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=told):
        own_authorities(config(path))
