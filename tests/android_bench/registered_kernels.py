"""Read out of an arm64 `benchmark_model` which versions of which operators it knows.

The program registers every kernel by a call with the operator's number in w1 and its lowest and
highest version in w3 and w4. In the default program these calls stand in one row; some go through
short functions that the compiler split off (they set the versions and jump on). This follows them:
enough for that one program, no disassembler.
"""
from __future__ import annotations

import struct

_CALL, _JUMP = 0b100101, 0b000101
_MOST = 210  # the highest number of an operator
_ROW = 2600  # instructions that hold all the calls


class Code:
    """The instructions of the section `.text`."""

    def __init__(self, data: bytes) -> None:
        table = struct.unpack_from("<Q", data, 40)[0]
        width, count, names = struct.unpack_from("<HHH", data, 58)
        sections = [struct.unpack_from("<IIQQQQ", data, table + k * width) for k in range(count)]
        start = sections[names][4]
        text = next(entry for entry in sections
                    if data[start + entry[0]:].startswith(b".text\0"))
        self.words = struct.unpack_from(f"<{text[5] // 4}I", data, text[4])

    def constant(self, place: int) -> tuple[int, int] | None:
        """Return register and value if the instruction sets one to a constant."""
        word = self.words[place]
        if word & 0xFFE00000 == 0x52800000:  # movz w, #imm
            return word & 31, word >> 5 & 0xFFFF
        if word & 0xFFFFFFE0 == 0x2A1F03E0:  # mov w, wzr
            return word & 31, 0
        return None

    def target(self, place: int) -> int:
        """Return where a branch goes."""
        offset = self.words[place] & 0x3FFFFFF
        return place + offset - (0x4000000 if offset & 0x2000000 else 0)

    def callee(self, place: int, registers: dict[int, int]) -> int | None:
        """Return the function that is called from here on; constants on the way are kept."""
        called = False
        for _ in range(16):
            known = self.constant(place)
            kind = self.words[place] >> 26
            if known:
                registers[known[0]] = known[1]
            elif kind == _CALL and not called:
                called, place = True, self.target(place)
                continue
            elif kind == _JUMP and called:
                place = self.target(place)
                continue
            elif called and self.words[place] & 0xFFFFFC00 != 0xAA000000:
                if self.words[place] & 0xFFE0FFE0 != 0xAA0003E0:  # not a move: it begins here
                    return place
            place += 1
        return None


def registered(data: bytes) -> dict[int, tuple[int, int]]:
    """Return lowest and highest version of every operator, by its number."""
    code = Code(data)
    numbers = []
    for place in range(len(code.words)):
        known = code.constant(place)
        if known and known[0] == 1 and known[1] <= _MOST:
            numbers.append((place, known[1]))
    first = max((sum(a <= b[0] < a + _ROW for b in numbers[k:k + 400]), a)
                for k, (a, _) in enumerate(numbers)
                if len({b[1] for b in numbers[k:k + 171]}) == 171)[1]
    found: dict[int, list[tuple[int, int, int]]] = {}
    for place, number in numbers:
        if not first - 300 <= place < first + _ROW:
            continue
        registers = {}
        for before in range(place - 6, place):
            known = code.constant(before)
            if known and known[0] in (3, 4):
                registers[known[0]] = known[1]
        callee = code.callee(place + 1, registers)
        if callee is not None:
            found.setdefault(callee, []).append(
                (number, registers.get(3, 1), registers.get(4, 0)))
    one, both = sorted(sorted(found, key=lambda callee: -len(found[callee]))[:2],
                       key=lambda callee: sum(row[2] > 0 for row in found[callee]))
    versions = {number: (low, low) for number, low, _ in found[one]}
    versions.update({number: (low, high) for number, low, high in found[both]})
    return versions
