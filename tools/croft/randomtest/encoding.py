"""Random operands: ModRM bytes, immediates, prefixes, and what the registers hold.

EBX, ESP, EBP, ESI and EDI point into the sandbox and are seldom overwritten; EAX, ECX and EDX hold
data. So most memory operands hit something, and some do not.
"""

import dataclasses

from . import flags, sixteen
from .sequence import FLAT, V86, Instruction

EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
DATA = (EAX, ECX, EDX)
POINTERS = (EBX, EBP, ESI, EDI)
ES, CS, SS, DS, FS, GS = range(6)
OVERRIDE = (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65)
INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclasses.dataclass
class Profile:
    """What the machines at hand do as the manual says."""

    limits: bool = False  # the bare machine checks segment limits
    alignment: bool = False  # it raises #AC
    strict: bool = False  # and the rest that QEMU's TCG is lax in (docs/testing.md)
    exact_user: bool = False  # SGDT and its kin in user code show the guest's values


LAX = Profile()
STRICT = Profile(True, True, True)


class Encoder:
    """Emits instructions and keeps what the generator must know about the state."""

    def __init__(self, rng, sequence, profile):
        self.rng, self.profile = rng, profile
        self.sequence = sequence  # its start state; options are added as instructions need them
        self.ring, self.mode, self.base = sequence.ring, sequence.mode, sequence.base()
        self.sixteen = self.mode != FLAT  # the code segment's width, at the instruction to come
        self.flat_code = self.mode == FLAT  # and whether it begins at 0
        self.out = []
        # For tables.py: the pages that are absent for sure, whether any may be global, and the directory's
        # entry of the free slot.
        self.absent = {page for page, rights in enumerate(sequence.rights) if not rights & 1}
        self.may_be_global = any(rights & 0x100 for rights in sequence.rights)
        self.free_is_absent = True
        self.pending = []  # branches whose target is not there yet: (index, instructions to go)
        self.risky = set()  # segments that memory operands leave alone
        self.undefined = 0
        self.kind = "random"

    def value(self):
        choice = self.rng.random()
        if choice < 0.5:
            return self.rng.choice(INTERESTING)
        if choice < 0.7:
            return self.rng.randrange(256)
        if choice < 0.8:
            return self.address()
        return self.rng.getrandbits(32)

    def address(self):
        """In a data page, now and then near its end."""
        page = self.rng.choice((2, 2, 3, 6, 9))
        if self.rng.random() < 0.25:
            return self.base + page * 0x1000 + 0x1000 - self.rng.randrange(16)
        return self.base + page * 0x1000 + self.rng.randrange(0x40, 0xF00)

    def emit(self, code, as_is=False, **how):
        """as_is: without prefixes that only a 16-bit code segment needs."""
        code = bytes(code)
        if self.sixteen and not as_is:
            code = sixteen.converted(code, self.rng)
        if how.get("absolute"):
            how.setdefault("flat", self.flat_code)
        instruction = Instruction(code, self.kind, sixteen=self.sixteen, **how)
        change = flags.effect(instruction.code, self.sixteen)
        if change.reads & self.undefined:
            self._append(Instruction(bytes((0x3C, self.rng.randrange(256))), self.kind, sixteen=self.sixteen))
        self._append(instruction)
        return len(self.out) - 1

    def _append(self, instruction):
        change = flags.effect(instruction.code, instruction.sixteen)
        self.undefined = self.undefined & ~change.defines | change.undefined
        self.out.append(instruction)

    def branch(self, code, size, **how):
        """A forward branch over a few of the instructions to come."""
        if self.sixteen and size == 4 and not how and self.rng.random() < 0.75:
            code, size = b"\x66" + code, 2
        index = self.emit(code, target=len(self.out) + 1, size=size, **how)
        self.pending.append((index, self.rng.randrange(1, 4)))

    def settle(self, final=False):
        """Called after each step: branches that have gone far enough get their target."""
        left = []
        for index, steps in self.pending:
            if final or steps == 0:
                self.out[index] = dataclasses.replace(self.out[index], target=len(self.out))
            else:
                left.append((index, steps - 1))
        if len(left) != len(self.pending) or left:
            # Along the branch other flags may be undefined.
            self.undefined = flags.undefined_before(self.out)[-1] if self.out else 0
        self.pending = left

    def register(self):
        return self.rng.choice(DATA) if self.rng.random() < 0.93 else self.rng.randrange(8)

    def byte_register(self):
        return self.rng.choice((0, 1, 2, 4, 5, 6) if self.rng.random() < 0.95 else (3, 7))

    def source(self):
        return self.rng.randrange(8)

    def memory(self, reg, write=True, segment=None):
        """(prefixes, ModRM and what follows) of a memory operand; reg is the ModRM's own field."""
        rng = self.rng
        form = rng.random()
        prefixes, default = b"", DS
        if self.sixteen and rng.random() < 0.85:
            return self._short_memory(reg, write, segment)
        if self.mode == V86 and not self.profile.limits:
            form *= 0.45  # what is beyond 64 KB may not fault on the bare machine
        if form < 0.45:
            pointer = rng.choice(POINTERS)
            default = SS if pointer == EBP else DS
            displacement = rng.randrange(-64, 64) & 0xFF
            tail = bytes((0x40 | reg << 3 | pointer, displacement))
        elif form < 0.6:
            tail = bytes((0x05 | reg << 3,)) + self.address().to_bytes(4, "little")
        elif form < 0.75:
            default = SS
            tail = bytes((0x44 | reg << 3, 0x24, rng.randrange(-48, 48) & 0xFF))
        elif form < 0.85:
            pointer, index = rng.choice(POINTERS), rng.choice(DATA)
            default = SS if pointer == EBP else DS
            sib = rng.randrange(4) << 6 | index << 3 | pointer
            tail = bytes((0x44 | reg << 3, sib, rng.randrange(256)))
        elif form < 0.9:
            tail = bytes((rng.choice((0x00, 0x80)) | reg << 3 | rng.choice(DATA),))
            if tail[0] & 0x80:
                tail += rng.getrandbits(32).to_bytes(4, "little")
        elif form < 0.95:
            sib = rng.randrange(4) << 6 | rng.choice(DATA) << 3 | 5
            tail = bytes((0x04 | reg << 3, sib)) + self.address().to_bytes(4, "little")
        else:
            prefixes = b"\x67"
            tail = bytes((0x06 | reg << 3,)) + rng.randrange(0x8000).to_bytes(2, "little")
        return prefixes + self.segment(default, write, segment), tail

    def _short_memory(self, reg, write, segment):
        """As `memory`, by 16-bit addressing, encoded for a 32-bit code segment."""
        rng = self.rng
        form = rng.choice((4, 5, 7, 7, 6, 6, 0, 1, 2, 3, 8))
        default = SS if form in (2, 3, 6) else DS
        if form == 8:
            tail = bytes((0x06 | reg << 3,)) + (self.address() & 0xFFFF).to_bytes(2, "little")
        elif form < 4 or rng.random() < 0.2:
            tail = bytes((0x80 | reg << 3 | form,)) + (rng.randrange(-0x100, 0x100) & 0xFFFF).to_bytes(2, "little")
        else:
            tail = bytes((0x40 | reg << 3 | form, rng.randrange(-64, 64) & 0xFF))
        return b"\x67" + self.segment(default, write, segment), tail

    def frame_size(self):
        """(prefix, bytes) of what transfers push and pop: 16 bits only in a 16-bit code segment."""
        return (b"\x66", 2) if self.sixteen and self.rng.random() < 0.7 else (b"", 4)

    def push(self, value, frame):
        prefix, size = frame
        self.emit(prefix + b"\x68" + (value & (1 << 8 * size) - 1).to_bytes(size, "little"))

    def push_place(self, steps, frame, **how):
        """Pushes the offset of an instruction to come."""
        prefix, size = frame
        self.emit(prefix + b"\x68", target=len(self.out) + steps, size=size, absolute=True, **how)

    def segment(self, default, write, wanted=None):
        """An override prefix, if one is wanted or the default is better left alone."""
        rng = self.rng
        usable = [s for s in range(6) if s not in self.risky and not (write and s == CS)]
        if wanted is None and default in usable and rng.random() < 0.85:
            return b""
        choice = wanted if wanted is not None else rng.choice(usable or [CS])
        return bytes((OVERRIDE[choice],))

    def operand(self, reg, write=True, memory=0.55, byte=False):
        """A register or memory operand."""
        if self.rng.random() < memory:
            return self.memory(reg, write)
        rm = self.byte_register() if byte else (self.register() if write else self.source())
        return b"", bytes((0xC0 | reg << 3 | rm,))

    def size_prefix(self, chance=0.2):
        if self.sixteen and chance < 1:
            chance = 0.75  # without any prefix then
        return b"\x66" if self.rng.random() < chance else b""

    def immediate(self, size):
        return (self.value() & (1 << 8 * size) - 1).to_bytes(size, "little")

    def load(self, register, value):
        self.emit(bytes((0xB8 + register,)) + (value & 0xFFFFFFFF).to_bytes(4, "little"))
