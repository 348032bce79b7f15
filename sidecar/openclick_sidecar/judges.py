"""Makes the judge that the settings ask for.

Called by `main` at start, and by the command for `config check` and `explain hit`.  Promises: each
fault of a file that the settings name is one line with the file and, where there are lines, the
line; with a fault there is no judge.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from openclick.config import ConfigError, Fault
from openclick.settings import Config
from openclick_sidecar.judge import COMPUTED_RULES, Circumstances, Judge, make_judge
from openclick_sidecar.networks import NetworkFile, NetworksError, parse_networks
from openclick_sidecar.rules import RuleFile, RulesError, packaged_rules, parse_rules


def load_judge(config: Config) -> Judge:
    """Return the judge with the admin's rules and networks.  Raises ConfigError."""
    faults: list[Fault] = []
    admins = _admins_rules(config.judge.rules_file, faults)
    networks = [_networks(path, faults) for path in config.judge.scanner_networks]
    if faults:
        raise ConfigError(faults)
    circumstances = Circumstances(
        too_soon_seconds=config.judge.too_soon_seconds,
        missing_fields=config.judge.missing_fields,
        https=config.links.scheme == "https",
        networks=tuple(file for file in networks if file is not None),
    )
    return make_judge(packaged_rules(), admins, circumstances)


def _admins_rules(path: str, faults: list[Fault]) -> RuleFile:
    none = RuleFile((), frozenset())
    if not path:
        return none
    try:
        file = parse_rules(_text(path))
    except RulesError as error:
        faults.append(Fault(path, error.line, str(error)))
        return none
    except _Unreadable as error:
        faults.append(Fault(path, 0, str(error)))
        return none
    known = [rule.name for rule in packaged_rules()] + list(COMPUTED_RULES)
    for name in sorted(file.off - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see rules.toml for the names"
        faults.append(Fault(path, 0, f"off: {name!a}: there is no such rule; {hint}"))
    return file


def _networks(path: str, faults: list[Fault]) -> NetworkFile | None:
    try:
        return parse_networks(_text(path), Path(path).name)
    except NetworksError as error:
        faults.append(Fault(path, error.line, str(error)))
    except _Unreadable as error:
        faults.append(Fault(path, 0, str(error)))
    return None


class _Unreadable(Exception):
    """A file that cannot be read as text."""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _Unreadable("cannot be read: not UTF-8 text") from error
