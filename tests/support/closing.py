"""What `with` closes: servers, processes and connections that a test opens for one block.

Who calls: the modules of this folder, whose classes inherit from it.  Promises: `close` is called
at the end of the block, whatever ended it, and what was raised is raised on.
"""

from typing import Self


class ClosedAtTheEnd:
    """Its `close`, which a class defines, comes at the end of the block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is held."""
        raise NotImplementedError
