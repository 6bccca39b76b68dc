"""Turns instructions that were encoded for a 32-bit code segment into the same ones for a 16-bit segment:
the prefixes 66h and 67h change their meaning, where they have one."""

from . import flags

OPERAND, ADDRESS = 0x66, 0x67

_UNSIZED = frozenset(
    [row + column for row in range(0, 0x40, 8) for column in (0, 2, 4)]
    + [0x27, 0x2F, 0x37, 0x3F, 0x63, 0x6C, 0x6E, *range(0x70, 0x80), 0x80, 0x82, 0x84, 0x86, 0x88, 0x8A, 0x8E,
       0x90, 0x9B, 0x9E, 0x9F, *range(0xA0, 0xB0, 2), *range(0xB0, 0xB8), 0xC0, 0xC6, 0xCC, 0xCD, 0xCE, 0xD0,
       0xD2, *range(0xD4, 0xE7), 0xEB, 0xEC, 0xEE, *range(0xF1, 0xF7), *range(0xF8, 0xFF)])
_UNSIZED_TWO = frozenset(
    [*range(0x02), *range(0x04, 0x40), *range(0x50, 0x80), *range(0x90, 0xA0), 0xA2, 0xB0, 0xB9, 0xC0, 0xC2,
     *range(0xC4, 0xC8), *range(0xD0, 0x100)]) - {0x01}
_MODRM = frozenset(
    [row + column for row in range(0, 0x40, 8) for column in range(4)]
    + [0x62, 0x63, 0x69, 0x6B, *range(0x80, 0x90), 0xC0, 0xC1, *range(0xC4, 0xC8), *range(0xD0, 0xD4),
       *range(0xD8, 0xE0), 0xF6, 0xF7, 0xFE, 0xFF])
_NO_MODRM_TWO = frozenset(
    [0x05, 0x06, 0x07, 0x08, 0x09, 0x0B, *range(0x30, 0x38), 0x77, *range(0x80, 0x90), 0xA0, 0xA1, 0xA2, 0xA8,
     0xA9, 0xAA, *range(0xC8, 0xD0)])
_BY_COUNT_OR_INDEX = frozenset([*range(0x6C, 0x70), *range(0xA4, 0xA8), *range(0xAA, 0xB0), 0xD7,
                                *range(0xE0, 0xE4)])


def has_operand_size(opcode):
    if opcode >= 0x0F00:
        return opcode & 0xFF not in _UNSIZED_TWO
    return opcode not in _UNSIZED


def has_memory_operand(opcode, rest):
    """By a ModRM byte, or an address in the instruction."""
    if opcode >= 0x0F00:
        by_modrm = opcode & 0xFF not in _NO_MODRM_TWO
    else:
        by_modrm = opcode in _MODRM
    return by_modrm and bool(rest) and rest[0] < 0xC0 or 0xA0 <= opcode <= 0xA3


def converted(code, rng):
    prefixes, opcode, rest = flags.split(code)
    changed = set()
    if has_operand_size(opcode) or opcode < 0x0F00 and rng.random() < 0.04:
        changed.add(OPERAND)
    if has_memory_operand(opcode, rest) or opcode in _BY_COUNT_OR_INDEX and rng.random() < 0.2:
        changed.add(ADDRESS)
    kept = bytes(one for one in prefixes if one not in changed)
    return bytes(one for one in changed if one not in prefixes) + kept + code[len(prefixes):]
