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
VM = 0x20000
TASK_LIMIT = 0x67  # a TSS without an I/O bitmap
CHANGES_TABLES, V86_MONITOR = 1, 2  # options: see the kernel's sequence.hpp
# How a sequence starts: in 32-bit segments from 0 to 4 GB, in 16-bit segments that begin at the sandbox
# (CODE16 and DATA16 of the GDT), or in virtual-8086 mode.
FLAT, SMALL, V86 = "flat", "small", "v86"
V86_SEGMENT, LOW_BASE = 0x2000, 0x20000
LAYOUT = struct.Struct(f"<I8I4I6H4H2I{GDT_COUNT}Q{LDT_COUNT}Q{GATE_COUNT}Q{PAGES}HH{WORD_COUNT}I4I"
                       f"{CODE_MAX}s")
assert LAYOUT.size == 568


@dataclasses.dataclass(frozen=True)
class Instruction:
    """`code`, then a displacement or absolute address of `size` bytes to `target` (an index of the
    sequence), then `tail`. Without a target `code` is all. sixteen: for a 16-bit code segment. An absolute
    address counts from the sandbox, unless it is `flat`."""

    code: bytes
    kind: str = "random"
    target: int = None
    size: int = 0
    absolute: bool = False
    tail: bytes = b""
    sixteen: bool = False
    flat: bool = True

    def length(self):
        return len(self.code) + self.size + len(self.tail)


@dataclasses.dataclass
class Sequence:
    instructions: list
    ring: int = 0
    mode: str = FLAT
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
    options: int = 0
    task_limit: int = TASK_LIMIT
    ports: int = 0xFFFFFFFF

    def __post_init__(self):
        if self.segments is None:
            self.segments = plain_segments(self.ring, self.mode)
        if self.mode == V86:
            self.eflags |= VM
        if self.inner is None:
            self.inner = [BASE + 0x7800, 0x49, BASE + 0x7C00, 0x52 + 8]

    def base(self):
        """What addresses in the sandbox count from."""
        return BASE if self.mode == FLAT else 0

    def offsets(self):
        """Of each instruction and of the end, in the sandbox."""
        address = self.code_offset
        found = [address]
        for instruction in self.instructions:
            address += instruction.length()
            found.append(address)
        return found

    def code(self):
        offsets = self.offsets()
        parts = []
        for index, one in enumerate(self.instructions):
            parts.append(one.code)
            if one.target is not None:
                place = offsets[one.target]
                value = place + BASE * one.flat if one.absolute else place - offsets[index + 1]
                parts.append((value & (1 << 8 * one.size) - 1).to_bytes(one.size, "little"))
            parts.append(one.tail)
        return b"".join(parts)

    def pack(self, number):
        code = self.code()
        assert len(code) <= CODE_MAX, len(code)
        return LAYOUT.pack(number, *self.general, self.base() + self.code_offset, self.eflags, self.cr0,
                           self.cr4, *self.segments, self.ldtr, self.inner[1], self.inner[3], self.options,
                           self.inner[0], self.inner[2], *self.gdt, *self.ldt, *self.gates,
                           *self.rights, self.directory_rights, *self.words, self.code_offset,
                           len(code), self.task_limit, self.ports, code)


def small_selector(index, ring):
    """Of the ring's 16-bit segment: index 0 of its code, 4 of its data, in the random part of the GDT."""
    return (16 + index + ring) << 3 | ring


def plain_segments(ring, mode=FLAT):
    if mode == V86:
        return [V86_SEGMENT] * 6
    if mode == SMALL:
        data = small_selector(4, ring)
        return [data, small_selector(0, ring), data, data, data, data]
    data = (0x18, 0x49, 0x5A, 0x2B)[ring]
    code = (0x10, 0x41, 0x52, 0x23)[ring]
    return [data, code, data, data, data, data]


_NUMBERS = ("ring", "eflags", "cr0", "cr4", "ldtr", "directory_rights", "code_offset", "options", "task_limit",
            "ports")
_LISTS = ("general", "segments", "inner", "gdt", "ldt", "gates", "rights", "words")


def to_text(sequence, remarks=()):
    """One field a line; what is as by default is left out."""
    plain = Sequence([], sequence.ring, sequence.mode)
    lines = [f"# {remark}" for remark in remarks]
    lines.append(f"ring {sequence.ring}")
    if sequence.mode != FLAT:
        lines.append(f"mode {sequence.mode}")
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
            how = ("absolute" if one.flat else "offset") if one.absolute else "relative"
            form = f" {how} {one.size} {one.target}"
            form += f" {one.tail.hex()}" if one.tail else ""
        width = "/16" if one.sixteen else ""
        lines.append(f"{one.kind.replace(' ', '-')}{width}: {one.code.hex()}{form}")
    return "\n".join(lines) + "\n"


def _instruction(kind, words):
    code = bytes.fromhex(words[0])
    kind, _, width = kind.partition("/")
    kind, sixteen = kind.replace("-", " "), width == "16"
    if len(words) == 1:
        return Instruction(code, kind, sixteen=sixteen)
    tail = bytes.fromhex(words[4]) if len(words) > 4 else b""
    return Instruction(code, kind, int(words[3]), int(words[2]), words[1] != "relative", tail, sixteen,
                       words[1] != "offset")


def from_text(text):
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    ring = next(int(words[1]) for words in lines if words[0] == "ring")
    mode = next((words[1] for words in lines if words[0] == "mode"), FLAT)
    sequence = Sequence([], ring, mode)
    for words in lines:
        if words[0].endswith(":"):
            sequence.instructions.append(_instruction(words[0][:-1], words[1:]))
        elif words[0] in _LISTS:
            getattr(sequence, words[0])[int(words[1])] = int(words[2], 16)
        elif words[0] not in ("ring", "mode"):
            setattr(sequence, words[0], int(words[1], 16))
    return sequence
