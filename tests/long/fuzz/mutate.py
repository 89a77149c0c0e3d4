"""Making inputs that are nearly right: a valid one with a few changes of the kinds that hurt.

Sizes in headers are what parsers trust, so integers of every width and byte order are overwritten
with values at the edges, numbers in text too; the rest is flips, cuts, copies and splices.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF,
         0x80000000, 0xFFFFFFFF, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip
NUMBER = re.compile(rb"[0-9]+")
HEAD = 64  # bytes at either end where headers and directories stand: hit as often as all others

Change = Callable[[random.Random, bytearray], None]


def mutate(
    rng: random.Random, data: bytes, others: Sequence[bytes] = (), tokens: Sequence[bytes] = ()
) -> bytes:
    """`data` with 1 to 8 changes. others: to splice with. tokens: bytes that mean something."""
    changed = bytearray(data)
    for _ in range(1 << rng.randrange(4)):
        kind = rng.random()
        if kind < 0.1 and tokens:
            _insert(rng, changed, rng.choice(tokens), over=rng.random() < 0.5)
        elif kind < 0.15 and others:
            other = rng.choice(others)
            begin, end = _range(rng, len(other))
            _insert(rng, changed, other[begin:end], over=rng.random() < 0.5)
        else:
            rng.choice(CHANGES)(rng, changed)
    return bytes(changed)


def _place(rng: random.Random, length: int) -> int:
    """A place among `length`, half of the time near the start or the end."""
    if not length:
        return 0
    where = rng.random()
    if where < 0.35:
        return rng.randrange(min(length, HEAD))
    if where < 0.5:
        return length - 1 - rng.randrange(min(length, HEAD))
    return rng.randrange(length)


def _range(rng: random.Random, length: int) -> tuple[int, int]:
    begin = _place(rng, length)
    return begin, min(length, begin + rng.choice((1, 2, 4, 8, 16, 64, 512)))


def _insert(rng: random.Random, data: bytearray, piece: bytes, over: bool) -> None:
    place = _place(rng, len(data))
    data[place : place + len(piece) if over else place] = piece


def _flip_a_bit(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, len(data))] ^= 1 << rng.randrange(8)


def _set_a_byte(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _set_an_integer(rng: random.Random, data: bytearray) -> None:
    """An integer of 2, 4 or 8 bytes becomes an edge, or the length of the file, give or take."""
    width = rng.choice((2, 4, 4, 8))
    value = rng.choice(EDGES) if rng.random() < 0.7 else len(data)
    value = (value + rng.choice((-1, 0, 0, 1))) % (1 << (8 * width))
    place = _place(rng, len(data))
    data[place : place + width] = value.to_bytes(width, rng.choice(("little", "big")))


def _change_an_integer(rng: random.Random, data: bytearray) -> None:
    """An integer that is there grows or shrinks a little, so that it still looks right."""
    width = rng.choice((1, 2, 4))
    place, order = _place(rng, len(data)), rng.choice(("little", "big"))
    old = int.from_bytes(data[place : place + width], order)
    value = (old + rng.choice((-16, -2, -1, 1, 2, 16))) % (1 << (8 * width))
    data[place : place + width] = value.to_bytes(width, order)


def _change_a_number_in_text(rng: random.Random, data: bytearray) -> None:
    found = list(NUMBER.finditer(data, 0, 512))
    if found:
        number = rng.choice(found)
        value = rng.choice((*EDGES, -1, 10**20, int(number[0][:18]) + rng.choice((-1, 1))))
        data[number.start() : number.end()] = b"%d" % value


def _cut_off(rng: random.Random, data: bytearray) -> None:
    del data[_place(rng, len(data)) :]


def _cut_out(rng: random.Random, data: bytearray) -> None:
    begin, end = _range(rng, len(data))
    del data[begin:end]


def _repeat(rng: random.Random, data: bytearray) -> None:
    begin, end = _range(rng, len(data))
    data[end:end] = data[begin:end] * rng.choice((1, 1, 2, 16))


def _move(rng: random.Random, data: bytearray) -> None:
    begin, end = _range(rng, len(data))
    piece = data[begin:end]
    del data[begin:end]
    place = _place(rng, len(data))
    data[place:place] = piece


def _append(rng: random.Random, data: bytearray) -> None:
    data += rng.randbytes(rng.choice((1, 2, 8, 100))) if rng.random() < 0.5 else bytes(8)


def _fill(rng: random.Random, data: bytearray) -> None:
    begin, end = _range(rng, len(data))
    data[begin:end] = rng.choice((b"\0", b"\xff", b" ", rng.randbytes(1))) * (end - begin)


CHANGES: tuple[Change, ...] = (
    _flip_a_bit,
    _flip_a_bit,
    _set_a_byte,
    _set_a_byte,
    _set_an_integer,
    _set_an_integer,
    _change_an_integer,
    _change_an_integer,
    _change_a_number_in_text,
    _cut_off,
    _cut_out,
    _repeat,
    _move,
    _append,
    _fill,
)
