"""Generators of instructions that ask nothing of the system: arithmetic, moves, stack, strings, branches.

Each takes an Encoder and emits one instruction or a short idiom. What the bare machine does wrong is
left out unless the profile says that it does it right (docs/testing.md).
"""

import dataclasses

from .encoding import DATA, DS, EAX, ECX, EDI, EDX, ES, ESI


def arithmetic(e):
    operation, form = e.rng.randrange(8), e.rng.randrange(6)
    opcode = operation << 3
    if form < 4:
        byte, to_register = form % 2 == 0, form >= 2
        reg = e.byte_register() if byte else (e.register() if to_register else e.source())
        write = not to_register and operation != 7
        prefix, tail = e.operand(reg, write, byte=byte)
        size = b"" if byte else e.size_prefix()
        e.emit(size + prefix + bytes((opcode + form,)) + tail)
    elif form == 4:
        e.emit(bytes((opcode + 4,)) + e.immediate(1))
    else:
        size = e.size_prefix()
        e.emit(size + bytes((opcode + 5,)) + e.immediate(2 if size else 4))


def arithmetic_immediate(e):
    opcode, operation = e.rng.choice((0x80, 0x81, 0x82, 0x83)), e.rng.randrange(8)
    byte = opcode in (0x80, 0x82)
    size = b"" if byte else e.size_prefix()
    prefix, tail = e.operand(operation, operation != 7, byte=byte)
    width = 1 if opcode != 0x81 else (2 if size else 4)
    e.emit(size + prefix + bytes((opcode,)) + tail + e.immediate(width))


def unary(e):
    choice = e.rng.randrange(4)
    if choice == 0:
        e.emit(e.size_prefix() + bytes((e.rng.choice((0x40, 0x48)) + e.register(),)))
        return
    byte = e.rng.random() < 0.4
    opcode, kinds = ((0xFE, (0, 1)), (0xF6, (2, 3, 0)))[choice % 2]
    kind = e.rng.choice(kinds)
    size = b"" if byte else e.size_prefix()
    prefix, tail = e.operand(kind, True, byte=byte)
    immediate = b"" if (opcode, kind) != (0xF6, 0) else e.immediate(1 if byte else 2 if size else 4)
    e.emit(size + prefix + bytes((opcode + (0 if byte else 1),)) + tail + immediate)


def multiply(e):
    choice = e.rng.randrange(4)
    size = e.size_prefix()
    if choice == 0:
        prefix, tail = e.operand(e.register(), False)
        e.emit(size + prefix + b"\x0f\xaf" + tail)
    elif choice == 1:
        prefix, tail = e.operand(e.register(), False)
        e.emit(size + prefix + b"\x69" + tail + e.immediate(2 if size else 4))
    elif choice == 2:
        prefix, tail = e.operand(e.register(), False)
        e.emit(size + prefix + b"\x6b" + tail + e.immediate(1))
    else:
        byte = e.rng.random() < 0.3
        prefix, tail = e.operand(e.rng.choice((4, 5)), False, byte=byte)
        e.emit((b"" if byte else size) + prefix + bytes((0xF6 if byte else 0xF7,)) + tail)


def divide(e):
    if e.rng.random() < 0.7:
        e.load(EDX, e.rng.choice((0, 0, 0xFFFFFFFF)))
    byte = e.rng.random() < 0.3
    prefix, tail = e.operand(e.rng.choice((6, 7)), False, byte=byte)
    size = b"" if byte else e.size_prefix()
    e.emit(size + prefix + bytes((0xF6 if byte else 0xF7,)) + tail)


def shift(e):
    opcode, kind = e.rng.choice((0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3)), e.rng.randrange(8)
    byte = opcode % 2 == 0
    # TCG loses CF when the write of RCL or RCR faults.
    memory = 0.55 if e.profile.strict or kind not in (2, 3) else 0
    prefix, tail = e.operand(kind, True, memory, byte)
    size = b"" if byte else e.size_prefix()
    e.emit(size + prefix + bytes((opcode,)) + tail + (e.immediate(1) if opcode < 0xD0 else b""))


def double_shift(e):
    opcode = e.rng.choice((0xA4, 0xA5, 0xAC, 0xAD))
    prefix, tail = e.operand(e.source(), True)
    e.emit(prefix + bytes((0x0F, opcode)) + tail + (b"" if opcode % 2 else e.immediate(1)))


def decimal(e):
    opcode = e.rng.choice((0x27, 0x2F, 0x37, 0x3F, 0xD4, 0xD5))
    e.emit(bytes((opcode,)) + (bytes((e.rng.choice((10, 10, 0, 16, 3)),)) if opcode > 0xD0 else b""))


def bits(e):
    size = e.size_prefix()
    if e.rng.random() < 0.3:
        prefix, tail = e.operand(e.rng.choice((4, 5, 6, 7)), True)
        e.emit(size + prefix + b"\x0f\xba" + tail + e.immediate(1))
    elif e.rng.random() < 0.6:
        # A register's bit number reaches far into memory: keep it near.
        register = e.rng.choice(DATA)
        e.load(register, e.rng.randrange(-256, 256))
        prefix, tail = e.operand(register, True)
        e.emit(size + prefix + bytes((0x0F, e.rng.choice((0xA3, 0xAB, 0xB3, 0xBB)))) + tail)
    else:
        # With a source of 0 the result is undefined.
        source = e.rng.choice(DATA)
        e.emit(bytes((0x83, 0xC8 | source, e.rng.choice((1, 8, 0x40)))))
        tail = bytes((0xC0 | e.register() << 3 | source,))
        e.emit(size + bytes((0x0F, e.rng.choice((0xBC, 0xBD)))) + tail)


def move(e):
    choice = e.rng.randrange(10)
    size = e.size_prefix()
    if choice < 4:
        opcode = e.rng.choice((0x88, 0x89, 0x8A, 0x8B))
        byte, write = opcode % 2 == 0, opcode < 0x8A
        reg = e.byte_register() if byte else (e.source() if write else e.register())
        prefix, tail = e.operand(reg, write, 0.8, byte)
        e.emit((b"" if byte else size) + prefix + bytes((opcode,)) + tail)
    elif choice == 4:
        byte = e.rng.random() < 0.5
        prefix, tail = e.operand(0, True, 0.8, byte)
        width = 1 if byte else 2 if size else 4
        e.emit((b"" if byte else size) + prefix + bytes((0xC6 if byte else 0xC7,)) + tail +
               e.immediate(width))
    elif choice == 5:
        e.emit(size + bytes((0xB8 + e.register(),)) + e.immediate(2 if size else 4))
    elif choice == 6:
        opcode = e.rng.choice((0xA0, 0xA1, 0xA2, 0xA3))
        e.emit(e.segment(DS, opcode >= 0xA2) + bytes((opcode,)) + e.address().to_bytes(4, "little"))
    elif choice == 7:
        prefix, tail = e.operand(e.register(), False)
        e.emit(size + prefix + bytes((0x0F, e.rng.choice((0xB6, 0xB7, 0xBE, 0xBF)))) + tail)
    elif choice == 8:
        prefix, tail = e.memory(e.register(), False)
        e.emit(size + prefix + b"\x8d" + tail)
    else:
        e.emit(e.rng.choice((b"\x90", b"\x98", b"\x99", b"\x66\x98", b"\x66\x99", b"\x9f", b"\x9e",
                             bytes((0x0F, 0xC8 + e.rng.choice(DATA))), b"\xd6")))


def exchange(e):
    choice = e.rng.randrange(6)
    size, lock = e.size_prefix(), b"\xf0" if e.rng.random() < 0.3 else b""
    if choice == 0:
        e.emit(size + bytes((0x90 + e.rng.choice((1, 2)),)))
    elif choice < 3:
        prefix, tail = e.memory(e.rng.choice(DATA))
        e.emit(lock + size + prefix + b"\x87" + tail)
    elif choice == 3:
        prefix, tail = e.operand(e.register(), True, 0.8)
        lock = lock if tail[0] < 0xC0 else b""
        e.emit(lock + size + prefix + b"\x0f\xc1" + tail)
    elif choice == 4:
        prefix, tail = e.operand(e.source(), True, 0.8)
        lock = lock if tail[0] < 0xC0 else b""
        e.emit(lock + size + prefix + b"\x0f\xb1" + tail)
    else:
        prefix, tail = e.memory(1)
        if not e.profile.strict:
            # TCG 7.2 takes stale flags unless a branch has settled them.
            e.emit(b"\xeb", target=len(e.out) + 1, size=1)
        e.emit(lock + prefix + b"\x0f\xc7" + tail)


def locked(e):
    """LOCK where it is allowed and where it is not."""
    operation = e.rng.randrange(8)
    prefix, tail = e.operand(e.source(), True, 0.8)
    if tail[0] >= 0xC0 or operation == 7:
        if e.rng.random() < 0.8 or operation == 6:  # TCG takes XOR of a register with itself
            return
    e.emit(b"\xf0" + prefix + bytes((operation << 3 | 1,)) + tail)


def stack(e):
    choice = e.rng.randrange(9)
    size = e.size_prefix(0.15)
    if choice < 2:
        e.emit(size + bytes((0x50 + e.source(),)))
    elif choice < 4:
        e.emit(size + bytes((0x58 + e.register(),)))
    elif choice == 4:
        e.emit(size + e.rng.choice((b"\x68" + e.immediate(2 if size else 4), b"\x6a" + e.immediate(1))))
    elif choice == 5:
        prefix, tail = e.memory(6, False)
        e.emit(size + prefix + b"\xff" + tail)
    elif choice == 6:
        prefix, tail = e.memory(0)
        e.emit(size + prefix + b"\x8f" + tail)
    elif choice == 7:
        e.emit(size + e.rng.choice((b"\x60", b"\x61")))
    else:
        e.emit(e.rng.choice((b"\xc9", b"\xc8" + e.rng.randrange(64).to_bytes(2, "little") +
                             bytes((e.rng.choice((0, 0, 1, 2, 3)),)))))


def flag_operation(e):
    e.emit(bytes((e.rng.choice((0xF5, 0xF8, 0xF9, 0xFC, 0xFC, 0xFD)),)))


def conditional(e):
    prefix, tail = e.operand(e.register(), False)
    condition = e.rng.randrange(16)
    if e.rng.random() < 0.5:
        e.emit(e.size_prefix() + prefix + bytes((0x0F, 0x40 + condition)) + tail)
    else:
        # TCG loses the flags when the write of SETcc faults.
        memory = 0.55 if e.profile.strict else 0
        prefix, tail = e.operand(0, True, memory, True)
        e.emit(prefix + bytes((0x0F, 0x90 + condition)) + tail)


def branch(e):
    choice = e.rng.randrange(8)
    if choice < 3:
        e.branch(bytes((0x70 + e.rng.randrange(16),)), 1)
    elif choice == 3:
        e.branch(bytes((0x0F, 0x80 + e.rng.randrange(16))), 4)
    elif choice == 4:
        e.branch(*e.rng.choice(((b"\xeb", 1), (b"\xe9", 4))))
    elif choice == 5:
        e.branch(bytes((e.rng.choice((0xE0, 0xE1, 0xE2, 0xE3)),)), 1)
    elif choice == 6:
        e.branch(b"\xe8", 4)
    else:
        indirect_branch(e)


def indirect_branch(e):
    """JMP and CALL by register or memory, RET: to the instruction behind, or a bit further."""
    choice = e.rng.randrange(5)
    register = e.rng.choice(DATA)
    prefix, size = e.frame_size()
    if choice < 2:
        e.branch(prefix + bytes((0xB8 + register,)), size, absolute=True)
        e.emit(prefix + bytes((0xFF, (0xE0, 0xD0)[choice] | register)))
    elif choice == 2:
        e.branch(prefix + b"\x68", size, absolute=True)
        e.emit(prefix + e.rng.choice((b"\xc3", b"\xc2\x00\x00", b"\xc2\x08\x00")))
    elif choice == 3:
        e.branch(prefix + bytes((0xB8 + register,)), size, absolute=True)
        address = e.address().to_bytes(4, "little")
        e.emit(prefix + bytes((0x89, 0x05 | register << 3)) + address)
        e.emit(prefix + b"\xff" + bytes((e.rng.choice((0x25, 0x15)),)) + address)
    else:
        if e.sixteen and not e.profile.limits:
            prefix = b"\x66"  # the bare machine does not look at the limit
        address, tail = e.operand(e.rng.choice((2, 4)), False)
        e.emit(prefix + address + b"\xff" + tail)  # wild


def string(e):
    repeat = e.rng.choice((b"", b"\xf3", b"\xf2"))
    e.load(ECX, e.rng.choice((0, 1, 2, 3, 5, 17, 40)))
    if e.rng.random() < 0.5:
        e.load(ESI, e.address())
        e.load(EDI, e.address())
    opcode = e.rng.choice((0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF))
    if ES in e.risky and opcode not in (0xAC, 0xAD) or DS in e.risky and opcode < 0xAE:
        return
    prefix = e.segment(DS, False) if opcode < 0xA8 or opcode in (0xAC, 0xAD) else b""
    e.emit(repeat + e.size_prefix() + prefix + bytes((opcode,)))


def translate_byte(e):
    e.emit(e.segment(DS, False) + b"\xd7")


def self_modifying(e):
    """Writes into the next instruction, directly or by the code's second mapping."""
    register = e.rng.choice(DATA)
    alias = 0x8000 if e.rng.random() < 0.4 else 0
    value = e.rng.randrange(256)
    place = len(e.out) + 2
    e.branch(bytes((0xB8 + EAX,)), 4, absolute=True)
    index = len(e.out) - 1
    e.pending = [p for p in e.pending if p[0] != index]
    e.out[index] = dataclasses.replace(e.out[index], target=place)
    e.emit(bytes((0xC6, 0x80)) + (alias + 1).to_bytes(4, "little") + bytes((value,)))
    e.emit(bytes((0xB0 + register, 0x55)), as_is=True)
