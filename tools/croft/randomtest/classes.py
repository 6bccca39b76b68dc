"""The classes of instructions with their weights, and the random opcode that may end a sequence."""

from . import plain, system, tables, transfers, vector


def wild(e):
    """A random opcode with any prefixes. Bytes that may be operands or code are harmless as code."""
    rng = e.rng
    if e.risky and not e.profile.strict:
        return
    two = rng.random() < 0.4
    opcode = None
    while opcode is None or opcode in NEVER:
        opcode = (0x0F00 if two else 0) | rng.randrange(256)
    prefixes = b"".join(bytes((rng.choice((0x66, 0x67, 0x36, 0x64, 0xF2, 0xF3)),))
                        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))))
    if opcode in SELECTOR_PUSHES and e.profile.strict:
        return  # see push_selector
    code = prefixes + (b"\x0f" if two else b"") + bytes((opcode & 0xFF,))
    if two and opcode not in NO_MODRM or opcode in MODRM:
        modrm = rng.getrandbits(8)
        if opcode in (0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3) and modrm >> 4 & 3 == 1:
            modrm |= 0x20  # RCL and RCR: see shift
        if opcode in (0xF6, 0xF7):
            modrm &= ~0x08  # /1: TEST for Bochs and Undercroft, undefined for TCG
        code += bytes((modrm,))
    e.emit(code + bytes(rng.choice(HARMLESS) for _ in range(6)) + b"\xcc")


MODRM = frozenset([row + column for row in range(0, 0x40, 8) for column in range(4)]
                  + [0x62, 0x63, 0x69, 0x6B] + list(range(0x80, 0x90)) + [0xC0, 0xC1]
                  + list(range(0xD0, 0xD4)) + [0xF6, 0xF7, 0xFE])
SELECTOR_PUSHES = frozenset((0x06, 0x0E, 0x16, 0x1E, 0x0FA0, 0x0FA8))
NO_MODRM = frozenset((0x0F06, 0x0F08, 0x0F09, 0x0F0B, 0x0FA0, 0x0FA8))
# NOP, CLC, STC, CBW, CWD, XCHG, INC, DEC, INT3
HARMLESS = (0x90, 0xF8, 0xF9, 0x98, 0x99, 0x91, 0x92, 0x40, 0x41, 0x42, 0x48, 0x49, 0x4A, 0xCC, 0xCC)


# Not met by chance: what would end the machine, read time or hardware, or do what QEMU's TCG does
# not do as the manual says; and what has a class of its own.
_ONE_BYTE = (0x07, 0x0F, 0x17, 0x1F, 0x26, 0x2E, 0x36, 0x3E, *range(0x60, 0x62), *range(0x64, 0x68),
             *range(0x6C, 0x80), 0x8E, 0x8F, 0x9A, 0x9B, 0x9D, *range(0xC2, 0xC3), *range(0xC4, 0xC9),
             *range(0xCA, 0xCC), 0xCF, *range(0xD8, 0xF5), 0xFF)
_TWO_BYTE = (0x00, 0x01, 0x02, 0x05, 0x07, *range(0x0D, 0x40), *range(0x50, 0xA0), 0xA1,
             0xA2, 0xA4, 0xA5, *range(0xA9, 0xAB), *range(0xAC, 0xAF), 0xB2, 0xB4, 0xB5, 0xB8,
             *range(0xBA, 0xBE), *range(0xC2, 0xFF))
NEVER = frozenset(_ONE_BYTE) | frozenset(0x0F00 | byte for byte in _TWO_BYTE)

# class: (generator, weight). The names are those of the coverage table.
CLASSES = {
    "arithmetic": (plain.arithmetic, 10), "arithmetic immediate": (plain.arithmetic_immediate, 6),
    "unary": (plain.unary, 4), "multiply": (plain.multiply, 4), "divide": (plain.divide, 2),
    "shift": (plain.shift, 6), "double shift": (plain.double_shift, 2), "decimal": (plain.decimal, 2),
    "bit": (plain.bits, 4), "move": (plain.move, 12), "exchange": (plain.exchange, 4),
    "lock": (plain.locked, 2), "stack": (plain.stack, 8), "flag": (plain.flag_operation, 2),
    "conditional": (plain.conditional, 3), "branch": (plain.branch, 7), "string": (plain.string, 6),
    "xlat": (plain.translate_byte, 1), "self-modifying": (plain.self_modifying, 2),
    "x87": (vector.x87, 2), "MMX and SSE": (vector.mmx_and_sse, 2),
    "push selector": (system.push_selector, 2), "virtual flags": (system.virtual_flags, 8),
    "bound": (system.bound, 2), "into": (system.into, 1),
    "interrupt": (system.software_interrupt, 2), "undefined": (system.undefined, 1),
    "segment load": (system.segment_load, 5), "segment read": (system.segment_read, 3),
    "verify": (system.verify, 3), "table read": (system.table_read, 3),
    "control register": (system.control_register, 4), "machine status": (system.machine_status, 1),
    "debug register": (system.debug_register, 2), "model register": (system.model_register, 2),
    "identify": (system.identify, 2), "halt": (system.halt, 1), "port": (system.port, 3),
    "local table": (system.local_table, 2), "far jump": (transfers.far_jump, 3),
    "far call": (transfers.far_call, 2), "far return": (transfers.far_return, 3),
    "interrupt return": (transfers.interrupt_return, 4), "gate": (transfers.gate, 4),
    "task": (transfers.task, 1), "page entry": (tables.page_entry, 4),
    "directory entry": (tables.directory_entry, 2), "write protection": (tables.write_protect, 1),
}
# In virtual-8086 mode these are wanted more often: what traps there, and what moves between segments.
V86_WEIGHT = 3
SENSITIVE_IN_V86 = frozenset(("virtual flags", "interrupt", "port", "interrupt return", "segment load", "gate",
                              "far jump", "far call", "far return"))
LAST = {"any byte": (wild, 1)}  # only at the end of a sequence
# Those that go through DS without a choice.
USES_DATA_SEGMENT = frozenset(("bound", "segment load", "far jump", "branch", "self-modifying", "x87",
                               "MMX and SSE", "page entry", "directory entry", "write protection"))
