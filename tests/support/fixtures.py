"""What functional tests share with pytest: the mark for tests that need the private Postfix.

Who calls: test modules (`@requires_private_postfix`) and tests/functional/conftest.py.
Promises: the only module of this package that imports pytest; one reason line for every skip.
"""

import pytest

from support.postfix import unavailable_reason

_reason = unavailable_reason()

requires_private_postfix = pytest.mark.skipif(_reason is not None, reason=_reason or "")
