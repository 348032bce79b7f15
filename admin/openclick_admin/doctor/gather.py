"""Looks at everything, in an order in which a dead part costs no more than its own time-outs."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from openclick import __version__
from openclick.instants import now
from openclick.settings import Config
from openclick.store import open_store, sqlite_version
from openclick_admin.doctor import gather_store
from openclick_admin.doctor.facts import Facts, Versions
from openclick_admin.doctor.gather_names import look_at_names
from openclick_admin.doctor.gather_postfix import look_at_postfix
from openclick_admin.doctor.gather_sidecar import look_at_sidecar

_LIBRARIES = ("pymilter", "Twisted", "treq", "dnspython", "pyOpenSSL", "cryptography", "acme")
STEPS = 4


def gather(
    config: Config,
    config_path: str,
    postfix_directory: Path | None,
    on_step: Callable[[str], None] = lambda _step: None,
) -> Facts:
    """Return all facts; `on_step` is told STEPS times what is looked at now."""
    store, at, is_root = open_store(config.store.url), now(), os.geteuid() == 0
    on_step("domains")
    names = look_at_names(config, store)
    on_step("Postfix")
    postfix = look_at_postfix(postfix_directory, config.milter.socket, is_root=is_root)
    on_step("daemons")
    with_certificate = [found.name for found in names.certificates if found.serves_https]
    sidecar = look_at_sidecar(config, next(iter(with_certificate), ""))
    milter, hits = gather_store.look_at_milter(store), gather_store.recent_hits(store, at)
    on_step("store")
    webhooks, webhooks_fault = gather_store.look_at_webhooks(store)
    return Facts(
        now=at,
        config=config,
        config_path=config_path,
        is_root=is_root,
        versions=_versions(),
        clock=gather_store.look_at_clock(milter, hits),
        postfix=postfix,
        milter=milter,
        sidecar=sidecar,
        store=gather_store.look_at_store(config, store),
        keys=gather_store.look_at_keys(config, store),
        names=names,
        traffic=gather_store.look_at_traffic(store, hits, at),
        webhooks=webhooks,
        webhooks_fault=webhooks_fault,
    )


def _versions() -> Versions:
    libraries = {name: _installed(name) for name in _LIBRARIES}
    return Versions(__version__, platform.python_version(), sqlite_version(), libraries)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
