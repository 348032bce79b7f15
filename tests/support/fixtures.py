"""What functional tests share with pytest: when to skip, and why.

Who calls: test modules (`@requires_private_postfix`, `installed`) and tests/functional/conftest.py.
Promises: the only module of this package that imports pytest; one reason line for every skip.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pytest

from support.installation import InstallationUnavailable
from support.postfix import unavailable_reason

P = ParamSpec("P")
T = TypeVar("T")

_reason = unavailable_reason()

requires_private_postfix = pytest.mark.skipif(
    _reason is not None, reason=_reason or ""
)  # no Postfix


def installed(kind: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what needs an installation, or skip the test where none can be had: not as root."""
    try:
        return kind(*args, **kwargs)
    except InstallationUnavailable as error:
        pytest.skip(str(error))  # no second user here, or not root
