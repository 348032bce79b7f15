"""What every subcommand gets: the settings, read when first needed, and the store they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import click

from openclick.config import load_config
from openclick.public_name import PublicName, public_name
from openclick.settings import Config
from openclick.store import Registry, Store, open_store


class Admin:
    """The command's view of one installation."""

    def __init__(self, config_path: str) -> None:
        self.config_path = config_path

    @cached_property
    def config(self) -> Config:
        """The settings.  Raises ConfigError."""
        return load_config(self.config_path)

    @cached_property
    def public_name(self) -> PublicName:
        """The name that tracking domains point to.  Raises ConfigError."""
        return public_name(self.config)

    @cached_property
    def named_config(self) -> Config:
        """The settings with that name in them, as the sidecar has them.  Raises ConfigError."""
        return self.public_name.given_to(self.config)

    @property
    def store(self) -> Store:
        """The store that the settings name."""
        return open_store(self.config.store.url)

    @contextmanager
    def registry(self) -> Iterator[Registry]:
        """Open openclick.db for the length of a subcommand.  Raises StoreFault."""
        registry = self.store.registry()
        try:
            yield registry
        finally:
            registry.close()


pass_admin = click.make_pass_decorator(Admin)
