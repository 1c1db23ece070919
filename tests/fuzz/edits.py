"""Damage to a file as hypothesis or a random generator draws it: a few edits of its bytes."""
from __future__ import annotations

import random
from collections.abc import Sequence

Edit = tuple[int, float, bytes]  # kind, place from 0 to 1, and bytes for it
KINDS = 8
_ODD = (b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff" * 8, b"9" * 40, b"-1",
        b"\xe2\x80\xae", b"1e999", b"null", b"[" * 2000, b"\n", b"\0", b"\xc2\xb2")


def damaged(seed: bytes, edits: Sequence[Edit]) -> bytes:
    """Return a file's bytes after the edits."""
    data = bytearray(seed)
    for kind, share, part in edits:
        place = min(int(share * len(data)), max(len(data) - 1, 0))
        odd = _ODD[(part[0] if part else 0) % len(_ODD)]
        if kind == 0 and data:  # a bit
            data[place] ^= 1 << (part[0] if part else 0) % 8
        elif kind == 1:
            data[place:place + len(part)] = part
        elif kind == 2:
            data[place:place] = part
        elif kind == 3:
            del data[place:place + 1 + len(part)]
        elif kind == 4:
            data[place:place + len(odd)] = odd
        elif kind == 5:
            data[place:place] = odd
        elif kind == 6:  # a piece again, somewhere else
            start = int((part[0] if part else 0) / 256 * len(data))
            data[place:place] = data[start:start + 64]
        elif kind == 7:
            del data[place:]
    return bytes(data)


def drawn(dice: random.Random) -> list[Edit]:
    """Return one to six edits; in every second file they lie near its beginning."""
    narrow = dice.choice((1.0, 1.0, 0.1, 0.01))
    return [(dice.randrange(KINDS) if dice.random() < 0.5 else dice.choice((0, 4)),
             narrow * dice.random(), dice.randbytes(dice.randrange(1, 9)))
            for _ in range(dice.choice((1, 1, 2, 3, 6)))]
