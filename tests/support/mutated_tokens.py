"""Tokens that are nearly tokens: what somebody without the key can make of those that he has seen.

Who calls: the unit and functional tests of forgery. Promises: the same mutations for the same
tokens; none begins with a genuine one, which would open whatever follows it.
"""

import base64
import random
import re
import string
from collections.abc import Callable, Iterator

ALPHABET = string.ascii_letters + string.digits + "-_"

Mutation = Callable[[str, str, random.Random], str]


def _raw(text: str) -> bytearray:
    return bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _text(raw: bytes | bytearray) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _flip_a_bit(text: str, _other: str, rng: random.Random) -> str:
    raw = _raw(text)
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return _text(raw)


def _change_a_character(text: str, _other: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + rng.choice(ALPHABET) + text[place + 1 :]


def _cut(text: str, _other: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text))]


def _cut_in_front(text: str, _other: str, rng: random.Random) -> str:
    return text[rng.randrange(1, len(text)) :]


def _lengthen(text: str, _other: str, rng: random.Random) -> str:
    return text + "".join(rng.choices(ALPHABET, k=rng.randrange(1, 9)))


def _swap(text: str, _other: str, rng: random.Random) -> str:
    chars = list(text)
    one, two = rng.randrange(len(chars)), rng.randrange(len(chars))
    chars[one], chars[two] = chars[two], chars[one]
    return "".join(chars)


def _splice(text: str, other: str, rng: random.Random) -> str:
    place = rng.randrange(1, min(len(text), len(other)))
    return text[:place] + other[place:]


def _spare_bits(text: str, _other: str, rng: random.Random) -> str:
    # Where the last character has spare bits, this spells the same bytes.
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ rng.choice((1, 2, 3))]


def _other_alphabet(text: str, _other: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + rng.choice("+/%.~ ") + text[place + 1 :]


def _change_case(text: str, _other: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + text[place:].swapcase()


def _key_id(text: str, _other: str, rng: random.Random) -> str:
    raw = _raw(text)
    raw[0] = rng.randrange(1, 256)
    return _text(raw)


def _zeros(text: str, _other: str, rng: random.Random) -> str:
    raw = _raw(text)
    place = rng.randrange(len(raw))
    raw[place : place + 16] = bytes(len(raw[place : place + 16]))
    return _text(raw)


KINDS_OF_MUTATION: tuple[Mutation, ...] = (
    _flip_a_bit,
    _change_a_character,
    _cut,
    _cut_in_front,
    _lengthen,
    _swap,
    _splice,
    _spare_bits,
    _other_alphabet,
    _change_case,
    _key_id,
    _zeros,
)


def mutated(tokens: list[str], count: int) -> Iterator[str]:
    """Yield mutations of tokens, none of which opens by being a token after all.

    A few hold a blank, which no path may hold as it is.
    """
    rng = random.Random(4)
    genuine = set(tokens)
    while count:
        mutate = KINDS_OF_MUTATION[count % len(KINDS_OF_MUTATION)]
        text = mutate(rng.choice(tokens), rng.choice(tokens), rng)
        run = re.match(r"[A-Za-z0-9_-]*", text)
        assert run is not None
        if run[0] not in genuine:
            count -= 1
            yield text
