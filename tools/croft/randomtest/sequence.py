"""One sequence: its instructions and the state that it starts in; as the kernel's module has it
(tests/random/kernel/sequence.hpp) and as text."""

import dataclasses
import struct

BASE = 0x800000
PAGES, GDT_COUNT, LDT_COUNT, GATE_COUNT, WORD_COUNT, CODE_MAX = 11, 16, 8, 8, 16, 128
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")
REGISTERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
FULL_RIGHTS = 0x67  # present, writable, user, accessed, dirty
PLAIN_DATA = 0x00CFF3000000FFFF  # flat, ring 3
LAYOUT = struct.Struct(f"<I8I4I6H4H2I{GDT_COUNT}Q{LDT_COUNT}Q{GATE_COUNT}Q{PAGES}HH{WORD_COUNT}III"
                       f"{CODE_MAX}s")
assert LAYOUT.size == 560


@dataclasses.dataclass(frozen=True)
class Instruction:
    """`code`, then a displacement or absolute address of `size` bytes to `target` (an index of the
    sequence), then `tail`. Without a target `code` is all."""

    code: bytes
    kind: str = "random"
    target: int = None
    size: int = 0
    absolute: bool = False
    tail: bytes = b""

    def length(self):
        return len(self.code) + self.size + len(self.tail)


@dataclasses.dataclass
class Sequence:
    instructions: list
    ring: int = 0
    general: list = dataclasses.field(default_factory=lambda: [0] * 8)
    eflags: int = 0x202
    cr0: int = 0x80010031
    cr4: int = 0
    segments: list = None
    ldtr: int = 0x60
    inner: list = None  # ESP1, SS1, ESP2, SS2
    gdt: list = dataclasses.field(default_factory=lambda: [PLAIN_DATA] * GDT_COUNT)
    ldt: list = dataclasses.field(default_factory=lambda: [PLAIN_DATA] * LDT_COUNT)
    gates: list = dataclasses.field(default_factory=lambda: [0] * GATE_COUNT)
    rights: list = dataclasses.field(default_factory=lambda: [FULL_RIGHTS] * PAGES)
    directory_rights: int = FULL_RIGHTS
    words: list = dataclasses.field(default_factory=lambda: [0] * WORD_COUNT)
    code_offset: int = 0x100

    def __post_init__(self):
        if self.segments is None:
            self.segments = plain_segments(self.ring)
        if self.inner is None:
            self.inner = [BASE + 0x7800, 0x49, BASE + 0x7C00, 0x52 + 8]

    def addresses(self):
        """Of each instruction and of the end."""
        address = BASE + self.code_offset
        found = [address]
        for instruction in self.instructions:
            address += instruction.length()
            found.append(address)
        return found

    def code(self):
        addresses = self.addresses()
        parts = []
        for index, one in enumerate(self.instructions):
            parts.append(one.code)
            if one.target is not None:
                place = addresses[one.target]
                value = place if one.absolute else place - addresses[index + 1]
                parts.append((value & (1 << 8 * one.size) - 1).to_bytes(one.size, "little"))
            parts.append(one.tail)
        return b"".join(parts)

    def pack(self, number):
        code = self.code()
        assert len(code) <= CODE_MAX, len(code)
        return LAYOUT.pack(number, *self.general, BASE + self.code_offset, self.eflags, self.cr0,
                           self.cr4, *self.segments, self.ldtr, self.inner[1], self.inner[3], 0,
                           self.inner[0], self.inner[2], *self.gdt, *self.ldt, *self.gates,
                           *self.rights, self.directory_rights, *self.words, self.code_offset,
                           len(code), code)


def plain_segments(ring):
    data = (0x18, 0x49, 0x5A, 0x2B)[ring]
    code = (0x10, 0x41, 0x52, 0x23)[ring]
    return [data, code, data, data, data, data]


_NUMBERS = ("ring", "eflags", "cr0", "cr4", "ldtr", "directory_rights", "code_offset")
_LISTS = ("general", "segments", "inner", "gdt", "ldt", "gates", "rights", "words")


def to_text(sequence, remarks=()):
    """One field a line; what is as by default is left out."""
    plain = Sequence([], sequence.ring)
    lines = [f"# {remark}" for remark in remarks]
    lines.append(f"ring {sequence.ring}")
    for name in _NUMBERS[1:]:
        if getattr(sequence, name) != getattr(plain, name):
            lines.append(f"{name} {getattr(sequence, name):x}")
    for name in _LISTS:
        for index, value in enumerate(getattr(sequence, name)):
            if value != getattr(plain, name)[index]:
                lines.append(f"{name} {index} {value:x}")
    for one in sequence.instructions:
        form = ""
        if one.target is not None:
            form = f" {'absolute' if one.absolute else 'relative'} {one.size} {one.target}"
            form += f" {one.tail.hex()}" if one.tail else ""
        lines.append(f"{one.kind.replace(' ', '-')}: {one.code.hex()}{form}")
    return "\n".join(lines) + "\n"


def _instruction(kind, words):
    code = bytes.fromhex(words[0])
    if len(words) == 1:
        return Instruction(code, kind)
    tail = bytes.fromhex(words[4]) if len(words) > 4 else b""
    return Instruction(code, kind, int(words[3]), int(words[2]), words[1] == "absolute", tail)


def from_text(text):
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    ring = next(int(words[1]) for words in lines if words[0] == "ring")
    sequence = Sequence([], ring)
    for words in lines:
        if words[0].endswith(":"):
            sequence.instructions.append(_instruction(words[0][:-1].replace("-", " "), words[1:]))
        elif words[0] in _LISTS:
            getattr(sequence, words[0])[int(words[1])] = int(words[2], 16)
        elif words[0] != "ring":
            setattr(sequence, words[0], int(words[1], 16))
    return sequence
