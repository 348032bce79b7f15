"""A message explained as a file, for tests of `openclick explain message`.

Who calls: tests of this folder.
"""

from unit.admin.command_line import CommandLine, Done

A = "https://a.example/"
B = "https://b.example/"


def explained(openclick: CommandLine, raw: bytes, *args: str, columns: int = 80) -> Done:
    """Explain a message as a file, by default as JSON."""
    path = openclick.config_path.with_name("mail.eml")
    path.write_bytes(raw)
    done = openclick("explain", "message", str(path), *(args or ("--json",)), columns=columns)
    assert (done.status, done.err) == (0, "")
    return done
