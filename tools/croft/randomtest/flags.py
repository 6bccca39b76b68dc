"""Arithmetic flags that an instruction reads, defines and leaves undefined, keyed by its opcode.

From the manual's descriptions of the instructions (SDM volume 2, "Flags Affected"). What is
undefined is never compared, and never consumed by a generated sequence.
"""

import dataclasses

CF, PF, AF, ZF, SF, OF = 0x1, 0x4, 0x10, 0x40, 0x80, 0x800
ALL = CF | PF | AF | ZF | SF | OF
CONDITIONS = (OF, CF, ZF, CF | ZF, SF, PF, SF | OF, ZF | SF | OF)
PREFIXES = frozenset((0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3))


@dataclasses.dataclass(frozen=True)
class Effect:
    reads: int = 0
    defines: int = 0
    undefined: int = 0


NOTHING = Effect()


def split(code):
    """(prefixes, opcode, what follows); a two-byte opcode is 0x0f00 plus its second byte."""
    at = 0
    while at < len(code) - 1 and code[at] in PREFIXES:
        at += 1
    opcode = code[at]
    if opcode == 0x0F and at + 1 < len(code):
        return code[:at], 0x0F00 | code[at + 1], code[at + 2:]
    return code[:at], opcode, code[at + 1:]


def _arithmetic(index):
    reads = CF if index in (2, 3) else 0
    undefined = AF if index in (1, 4, 6) else 0
    return Effect(reads, ALL & ~undefined, undefined)


def _shift(kind, count, narrow):
    """count None: not known. narrow: 8 or 16 bits, where a count beyond the operand is possible."""
    reads = CF if kind in (2, 3) else 0
    if count == 0:
        return NOTHING
    written = CF | OF if kind < 4 else ALL
    undefined = 0 if kind < 4 else AF
    if count is None:
        return Effect(reads, 0, undefined | OF | (CF if narrow and kind >= 4 else 0))
    if count > 1:
        undefined |= OF
        if narrow and kind >= 4 and count >= 8:
            undefined |= CF
    return Effect(reads, written & ~undefined, undefined)


_MULTIPLY = Effect(0, CF | OF, SF | ZF | AF | PF)
_TEST = Effect(0, ALL & ~AF, AF)
_BIT = Effect(0, CF, OF | SF | AF | PF)
_INCREMENT = Effect(0, ALL & ~CF, 0)
_REPEATED = NOTHING  # with a count of 0 nothing is defined


def _unary(register):
    if register < 2:
        return _TEST
    return {2: NOTHING, 3: Effect(0, ALL, 0), 4: _MULTIPLY, 5: _MULTIPLY}.get(
        register, Effect(0, 0, ALL))


def _fixed():
    table = {0x27: Effect(CF | AF, ALL & ~OF, OF), 0x2F: Effect(CF | AF, ALL & ~OF, OF),
             0x37: Effect(CF | AF, CF | AF, OF | SF | ZF | PF),
             0x3F: Effect(CF | AF, CF | AF, OF | SF | ZF | PF),
             0xD4: Effect(0, SF | ZF | PF, OF | AF | CF), 0xD5: Effect(0, SF | ZF | PF, OF | AF | CF),
             0x69: _MULTIPLY, 0x6B: _MULTIPLY, 0x0FAF: _MULTIPLY,
             0x84: _TEST, 0x85: _TEST, 0xA8: _TEST, 0xA9: _TEST,
             0x9E: Effect(0, ALL & ~OF, 0), 0x9F: Effect(ALL & ~OF, 0, 0),
             0x9C: Effect(ALL, 0, 0), 0x9D: Effect(0, ALL, 0),
             0xF5: Effect(CF, CF, 0), 0xF8: Effect(0, CF, 0), 0xF9: Effect(0, CF, 0),
             0xD6: Effect(CF, 0, 0), 0xCE: Effect(OF, 0, 0),
             0xE0: Effect(ZF, 0, 0), 0xE1: Effect(ZF, 0, 0),
             0x63: Effect(0, ZF, 0), 0x0F02: Effect(0, ZF, 0), 0x0F03: Effect(0, ZF, 0),
             0x0FBC: Effect(0, ZF, ALL & ~ZF), 0x0FBD: Effect(0, ZF, ALL & ~ZF),
             0x0FB0: Effect(0, ALL, 0), 0x0FB1: Effect(0, ALL, 0),
             0x0FC0: Effect(0, ALL, 0), 0x0FC1: Effect(0, ALL, 0),
             0x0FA3: _BIT, 0x0FAB: _BIT, 0x0FB3: _BIT, 0x0FBB: _BIT, 0x0FBA: _BIT,
             0x0F2E: Effect(0, ALL, 0), 0x0F2F: Effect(0, ALL, 0),
             0x0FA5: Effect(0, 0, OF | AF), 0x0FAD: Effect(0, 0, OF | AF)}
    for opcode in range(0x40):
        if opcode % 8 < 6:
            table[opcode] = _arithmetic(opcode >> 3)
    for opcode in range(0x40, 0x50):
        table[opcode] = _INCREMENT
    for condition in range(16):
        reads = Effect(CONDITIONS[condition >> 1], 0, 0)
        for base in (0x70, 0x0F40, 0x0F80, 0x0F90):
            table[base + condition] = reads
    for opcode in (0xA6, 0xA7, 0xAE, 0xAF):
        table[opcode] = Effect(0, ALL, 0)
    return table


_FIXED = _fixed()


def effect(code, sixteen=False):
    """The effect of one encoded instruction (its displacement may be missing), in a 16-bit code segment."""
    prefixes, opcode, rest = split(code)
    register = rest[0] >> 3 & 7 if rest else 0
    if opcode in (0xA6, 0xA7, 0xAE, 0xAF) and (0xF2 in prefixes or 0xF3 in prefixes):
        return _REPEATED
    if opcode in _FIXED:
        return _FIXED[opcode]
    if 0x80 <= opcode <= 0x83:
        return _arithmetic(register)
    if opcode in (0xF6, 0xF7):
        return _unary(register)
    if opcode in (0xFE, 0xFF) and register < 2:
        return _INCREMENT
    narrow = opcode % 2 == 0 or (0x66 in prefixes) != sixteen
    if opcode in (0xC0, 0xC1):
        return _shift(register, rest[-1] & 31, narrow)
    if opcode in (0xD0, 0xD1):
        return _shift(register, 1, narrow)
    if opcode in (0xD2, 0xD3):
        return _shift(register, None, narrow)
    if opcode in (0x0FA4, 0x0FAC):
        count = rest[-1] & 31
        return NOTHING if count == 0 else Effect(0, ALL & ~AF & ~(OF if count > 1 else 0),
                                                 AF | (OF if count > 1 else 0))
    if opcode == 0x0FC7:
        return Effect(0, ZF if register == 1 else 0, 0)
    if opcode == 0x0F00 and register in (4, 5):
        return Effect(0, ZF, 0)
    return NOTHING


def undefined_before(instructions):
    """For each instruction, and for the end: the flags that are undefined when it starts.

    Branches go forward only, so one pass is enough.
    """
    before = [0] * (len(instructions) + 1)
    for index, instruction in enumerate(instructions):
        change = effect(instruction.code, instruction.sixteen)
        after = before[index] & ~change.defines | change.undefined
        before[index + 1] |= after
        if instruction.target is not None:
            before[instruction.target] |= after
    return before
