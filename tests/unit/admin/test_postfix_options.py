"""Options of `openclick postfix` that say nothing together."""

import pytest

from unit.admin.command_line import CommandLine


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--apply", "--json"], "--json"),
        (["--undo", "--json"], "--json"),
        (["--force"], "--force"),
        (["--apply", "--force"], "--force"),
    ],
)
def test_options_that_do_not_go_together(
    openclick: CommandLine, options: list[str], says: str
) -> None:
    """Are refused before anything is changed: what --apply prints is a diff, and no JSON."""
    done = openclick("postfix", *options)

    assert (2, b"") == (done.status, done.out)
    assert says in done.err
