"""Randomness, asked of the kernel a page at a time."""

from openclick_sidecar.random_bytes import RandomBytes


class Kernel:
    """Gives bytes that can be told apart, and counts the questions."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def ask(self, size: int) -> bytes:
        """Return a page of numbers of two bytes, each once."""
        start = sum(self.asked) // 2
        self.asked.append(size)
        return b"".join(number.to_bytes(2, "big") for number in range(start, start + size // 2))


def test_a_page_serves_many() -> None:
    """256 ids of 16 bytes are one question."""
    kernel = Kernel()
    random = RandomBytes(kernel.ask)

    taken = [random.take(16) for _ in range(256)]

    assert [4096] == kernel.asked
    assert {16} == {len(each) for each in taken}


def test_no_byte_is_handed_out_twice() -> None:
    """Not over the end of a page either, whatever the sizes."""
    random = RandomBytes(Kernel().ask)

    taken = b"".join(random.take(2 * (1 + number % 37)) for number in range(600))

    numbers = [taken[place : place + 2] for place in range(0, len(taken), 2)]
    assert len(set(numbers)) == len(numbers)
