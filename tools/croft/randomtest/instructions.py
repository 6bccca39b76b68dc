"""The generators of single instructions and short idioms, by class.

Each takes an Encoder and emits; CLASSES gives their weights. What the bare machine at hand does
wrong is not generated here unless the profile says that it does it right (docs/testing.md).
"""

from .encoding import CS, DATA, DS, EAX, ECX, EDX, EDI, ES, ESI, FS, GS, SS
from .sequence import BASE


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
        if e.rng.random() < 0.8:
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


def push_selector(e):
    segment = e.rng.choice((b"\x06", b"\x0e", b"\x16", b"\x1e", b"\x0f\xa0", b"\x0f\xa8"))
    e.emit(e.size_prefix(0.15) + segment)


def flag_operation(e):
    e.emit(bytes((e.rng.choice((0xF5, 0xF8, 0xF9, 0xFC, 0xFC, 0xFD)),)))


def virtual_flags(e):
    """CLI, STI, PUSHF, POPF: what SBE exists for."""
    choice = e.rng.randrange(6)
    size = e.size_prefix(0.15)
    if choice == 0:
        e.emit(b"\xfa")
    elif choice == 1:
        e.emit(b"\xfb")
    elif choice < 4:
        e.emit(size + b"\x9c")
        if e.rng.random() < 0.7:
            e.emit(size + bytes((0x58 + e.rng.choice(DATA),)))
    else:
        forbidden = 0x20000 | 0x40000 * (not e.profile.alignment)
        value = e.rng.getrandbits(32) & ~forbidden
        if e.rng.random() < 0.85:
            value &= ~0x100
        if e.rng.random() < 0.7:
            value &= ~0x7000
        e.emit(b"\x68" + value.to_bytes(4, "little"))
        e.emit(b"\x9d")


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
    if choice < 2:
        e.branch(bytes((0xB8 + register,)), 4, absolute=True)
        e.emit(bytes((0xFF, (0xE0, 0xD0)[choice] | register)))
    elif choice == 2:
        e.branch(b"\x68", 4, absolute=True)
        e.emit(e.rng.choice((b"\xc3", b"\xc2\x00\x00", b"\xc2\x08\x00")))
    elif choice == 3:
        e.branch(bytes((0xB8 + register,)), 4, absolute=True)
        address = e.address().to_bytes(4, "little")
        e.emit(bytes((0x89, 0x05 | register << 3)) + address)
        e.emit(b"\xff" + bytes((e.rng.choice((0x25, 0x15)),)) + address)
    else:
        prefix, tail = e.operand(e.rng.choice((2, 4)), False)
        e.emit(prefix + b"\xff" + tail)  # wild


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


def bound(e):
    address = BASE + 0x2000 + 4 * e.rng.randrange(8)
    e.emit(bytes((0x62, 0x05 | e.rng.choice(DATA) << 3)) + address.to_bytes(4, "little"))


def into(e):
    e.emit(b"\xce")


def software_interrupt(e):
    vector = e.rng.choice((3, 4, 5, 0x20, 0x30, 0x80, 0x81, 0xC0, 0xFF))
    e.emit(e.rng.choice((b"\xcc", bytes((0xCD, vector)), bytes((0xCD, vector)))))


def undefined(e):
    e.emit(e.rng.choice((b"\x0f\x0b", b"\x0f\xb9\xc0", b"\xff\xff", b"\x8e\xc8", b"\x8d\xc0",
                         b"\x0f\x04", b"\xf0\x90", b"\xf0\x0f\x0b", b"\xc4\xc0",
                         b"\x62\xc0", b"\x0f\xc7\xc8", b"\xfe\xf8")))


SELECTORS = (0x10, 0x18, 0x23, 0x2B, 0x41, 0x49, 0x52, 0x5A, 0x30, 0x60, 0x70, 0)


def any_selector(e):
    if e.rng.random() < 0.35:
        return e.rng.choice(SELECTORS) | e.rng.choice((0, 0, 0, 1, 2, 3))
    if e.rng.random() < 0.3:
        return e.rng.randrange(10) << 3 | 4 | e.rng.randrange(4)
    if e.rng.random() < 0.03:
        return e.rng.getrandbits(16) & 0xFFF8
    return e.rng.randrange(16, 32) << 3 | e.rng.choice((0, 3, e.rng.randrange(4)))


def segment_load(e):
    """MOV, POP, LDS and kin. What is loaded may be null or read-only, which TCG does not check at
    use: no memory operand uses that register any more."""
    segment = e.rng.choice((ES, SS, DS, FS, GS))
    selector = any_selector(e)
    choice = e.rng.randrange(3)
    if choice == 0:
        register = e.rng.choice(DATA)
        e.load(register, selector | e.rng.choice((0, 0xABCD0000)))
        e.emit(bytes((0x8E, 0xC0 | segment << 3 | register)))
    elif choice == 1:
        e.emit(b"\x68" + selector.to_bytes(4, "little"))
        e.emit({ES: b"\x07", SS: b"\x17", DS: b"\x1f", FS: b"\x0f\xa1", GS: b"\x0f\xa9"}[segment])
    else:
        address = BASE + 0x2000 + 8 * e.rng.randrange(8)
        e.emit(b"\xc7\x05" + (address + 4).to_bytes(4, "little") + selector.to_bytes(4, "little"))
        opcode = {ES: b"\xc4", SS: b"\x0f\xb2", DS: b"\xc5", FS: b"\x0f\xb4", GS: b"\x0f\xb5"}[segment]
        e.emit(opcode + bytes((0x05 | e.rng.choice(DATA) << 3,)) + address.to_bytes(4, "little"))
    if not e.profile.strict:
        e.risky.add(segment)


def segment_read(e):
    segment = e.rng.randrange(6)
    prefix, tail = e.operand(segment, True, 0.4)
    e.emit(e.size_prefix(0.2) + prefix + b"\x8c" + tail)


def verify(e):
    register = e.rng.choice(DATA)
    e.load(register, any_selector(e))
    choice = e.rng.randrange(5)
    target = e.rng.choice(DATA)
    if choice < 2:
        e.emit(bytes((0x0F, 0x02 + choice, 0xC0 | target << 3 | register)))
    elif choice < 4:
        e.emit(bytes((0x0F, 0x00, 0xC0 | (choice + 2) << 3 | register)))
    else:
        e.emit(bytes((0x63, 0xC0 | register << 3 | target)))


def table_read(e):
    """SGDT, SIDT, SLDT, STR, SMSW."""
    if e.ring == 3 and not e.profile.exact_user:
        return
    choice = e.rng.randrange(5)
    if choice < 2:
        prefix, tail = e.memory(choice)
        e.emit(prefix + b"\x0f\x01" + tail)
    elif choice < 4:
        prefix, tail = e.operand(choice - 2, True, 0.4)
        e.emit(e.size_prefix() + prefix + b"\x0f\x00" + tail)
    else:
        prefix, tail = e.operand(4, True, 0.4)
        e.emit(prefix + b"\x0f\x01" + tail)


def control_register(e):
    choice = e.rng.randrange(8)
    register = e.rng.choice(DATA)
    if choice < 3:
        e.emit(bytes((0x0F, 0x20, 0xC0 | e.rng.choice((0, 2, 3, 4)) << 3 | register)))
    elif choice == 3:
        value = 0x80000031 | e.rng.choice((0, 0x10000)) | e.rng.choice((0, 2, 4, 8, 10))
        e.load(register, value)
        e.emit(bytes((0x0F, 0x22, 0xC0 | register)))
    elif choice == 4:
        e.load(register, e.rng.getrandbits(32))
        e.emit(bytes((0x0F, 0x22, 0xD0 | register)))
    elif choice == 5:
        e.emit(bytes((0x0F, 0x20, 0xD8 | register)))
        e.emit(bytes((0x0F, 0x22, 0xD8 | register)))
    elif choice == 6:
        e.load(register, e.rng.choice((0, 4, 0x10, 0x80, 0x200, 0x284)))
        e.emit(bytes((0x0F, 0x22, 0xE0 | register)))
    else:
        e.emit(e.rng.choice((b"\x0f\x06", b"\x0f\x09", b"\x0f\x08",
                             b"\x0f\x01\x3d" + e.address().to_bytes(4, "little"))))


def machine_status(e):
    register = e.rng.choice(DATA)
    e.load(register, 1 | e.rng.choice((0, 2, 4, 8, 0xFFF0)))
    e.emit(bytes((0x0F, 0x01, 0xF0 | register)))


def debug_register(e):
    register, number = e.rng.choice(DATA), e.rng.choice((2, 3, 6, 7))
    if number < 4 and e.rng.random() < 0.5:
        e.emit(bytes((0x0F, 0x23, 0xC0 | number << 3 | register)))
    if number < 4:
        e.emit(bytes((0x0F, 0x23, 0xC0 | number << 3 | register)))
    e.emit(bytes((0x0F, 0x21, 0xC0 | number << 3 | register)))


def model_register(e):
    register = e.rng.choice((0x174, 0x175, 0x176))
    e.load(ECX, register)
    if e.rng.random() < 0.5:
        if register == 0x174 and not e.profile.strict:
            e.load(EAX, e.rng.getrandbits(16))  # TCG keeps 16 bits
        e.load(EDX, 0)
        e.emit(b"\x0f\x30")
    e.emit(b"\x0f\x32")


def identify(e):
    """CPUID and RDTSC: whether they fault; what they say is overwritten."""
    if e.rng.random() < 0.5:
        e.emit(b"\x0f\x31")
        registers = (EAX, EDX)
    else:
        e.load(EAX, e.rng.choice((0, 1, 2)))
        e.emit(b"\x0f\xa2")
        registers = (EAX, 3, ECX, EDX)
    for register in registers:
        e.load(register, e.value() if register != 3 else e.address())


def halt(e):
    if e.ring:
        e.emit(b"\xf4")


def port(e):
    """Ports that nothing answers, and 80h."""
    if e.rng.random() < 0.4:
        e.emit(e.size_prefix() + bytes((e.rng.choice((0xE6, 0xE7)), 0x80)))
        return
    e.load(EDX, e.rng.choice((0x300, 0x310, 0x320)))
    opcode = e.rng.choice((0xEC, 0xED, 0xEE, 0xEF, 0x6C, 0x6D, 0x6E, 0x6F))
    if opcode < 0x70 and {ES, DS} & e.risky:
        return
    repeat = b""
    if opcode < 0x70 and e.rng.random() < 0.5:
        e.load(ECX, e.rng.randrange(4))
        repeat = b"\xf3"
    e.emit(repeat + e.size_prefix() + bytes((opcode,)))


CODE_SELECTORS = (0x10, 0x41, 0x52, 0x23)


def far_jump(e):
    selector = CODE_SELECTORS[e.ring] if e.rng.random() < 0.4 else any_selector(e)
    tail = selector.to_bytes(2, "little")
    if e.rng.random() < 0.6:
        e.emit(b"\xea", target=len(e.out) + 1, size=4, absolute=True, tail=tail)
        return
    address = BASE + 0x2000 + 8 * e.rng.randrange(8)
    e.emit(b"\xc7\x05" + address.to_bytes(4, "little"), target=len(e.out) + 3, size=4, absolute=True)
    e.emit(b"\xc7\x05" + (address + 4).to_bytes(4, "little") + selector.to_bytes(4, "little"))
    e.emit(b"\xff\x2d" + address.to_bytes(4, "little"))


def far_call(e):
    selector = CODE_SELECTORS[e.ring] if e.rng.random() < 0.4 else any_selector(e)
    e.emit(b"\x9a", target=len(e.out) + 1, size=4, absolute=True, tail=selector.to_bytes(2, "little"))


def outer(e, selector_of):
    """Rings not further in than the present one, seldom any."""
    ring = e.rng.randrange(e.ring, 4) if e.rng.random() < 0.9 else e.rng.randrange(4)
    if e.rng.random() < 0.15:
        return any_selector(e), ring
    return selector_of[ring], ring


STACK_SELECTORS = (0x18, 0x49, 0x5A, 0x2B)


def _outer_stack(e, ring):
    e.emit(b"\x68" + (STACK_SELECTORS[ring] if e.rng.random() < 0.9 else any_selector(e))
           .to_bytes(4, "little"))
    e.emit(b"\x68" + (BASE + 0x6000 + e.rng.randrange(0x100, 0xF00, 4)).to_bytes(4, "little"))


def far_return(e):
    selector, ring = outer(e, CODE_SELECTORS)
    if ring > e.ring:
        _outer_stack(e, ring)
    e.emit(b"\x68" + selector.to_bytes(4, "little"))
    e.emit(b"\x68", target=len(e.out) + 2, size=4, absolute=True)
    e.emit(b"\xcb")
    _arrive(e, max(ring, e.ring))


def interrupt_return(e):
    selector, ring = outer(e, CODE_SELECTORS)
    if ring > e.ring:
        _outer_stack(e, ring)
    value = 2 | e.rng.getrandbits(32) & (0x200CD5 | e.rng.choice((0, 0x200, 0x3000, 0x3200)))
    if e.rng.random() < 0.1:
        value |= 0x100
    e.emit(b"\x68" + value.to_bytes(4, "little"))
    e.emit(b"\x68" + selector.to_bytes(4, "little"))
    e.emit(b"\x68", target=len(e.out) + 2, size=4, absolute=True)
    e.emit(b"\xcf")
    _arrive(e, max(ring, e.ring))


def _arrive(e, ring):
    """Where data segments of an inner ring are null now: sometimes others, else leave them alone."""
    if ring == e.ring:
        return
    e.ring = ring
    e.risky |= {ES, DS, FS, GS}
    if e.rng.random() < 0.7:
        e.load(EAX, STACK_SELECTORS[ring])
        for segment in (ES, DS, FS, GS):
            e.emit(bytes((0x8E, 0xC0 | segment << 3)))
            e.risky.discard(segment)


def local_table(e):
    """LLDT and LTR with selectors that are mostly wrong."""
    register = e.rng.choice(DATA)
    e.load(register, e.rng.choice((0x60, 0x60, 0, 0x18, 0x1000, any_selector(e) & ~4)))
    e.emit(bytes((0x0F, 0x00, 0xD0 | register)))


def self_modifying(e):
    """Writes into the next instruction, directly or by the code's second mapping."""
    register = e.rng.choice(DATA)
    alias = 0x8000 if e.rng.random() < 0.4 else 0
    value = e.rng.randrange(256)
    place = len(e.out) + 2
    e.branch(bytes((0xB8 + EAX,)), 4, absolute=True)
    index = len(e.out) - 1
    e.pending = [p for p in e.pending if p[0] != index]
    from dataclasses import replace
    e.out[index] = replace(e.out[index], target=place)
    e.emit(bytes((0xC6, 0x80)) + (alias + 1).to_bytes(4, "little") + bytes((value,)))
    e.emit(bytes((0xB0 + register, 0x55)))


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
    code = prefixes + (b"\x0f" if two else b"") + bytes((opcode & 0xFF,))
    if two and opcode not in NO_MODRM or opcode in MODRM:
        modrm = rng.getrandbits(8)
        if opcode in (0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3) and modrm >> 4 & 3 == 1:
            modrm |= 0x20  # RCL and RCR: see shift
        code += bytes((modrm,))
    e.emit(code + bytes(rng.choice(HARMLESS) for _ in range(6)) + b"\xcc")


MODRM = frozenset([row + column for row in range(0, 0x40, 8) for column in range(4)]
                  + [0x62, 0x63, 0x69, 0x6B] + list(range(0x80, 0x90)) + [0xC0, 0xC1]
                  + list(range(0xD0, 0xD4)) + [0xF6, 0xF7, 0xFE])
NO_MODRM = frozenset((0x0F06, 0x0F08, 0x0F09, 0x0F0B, 0x0FA0, 0x0FA8))
# NOP, CLC, STC, CBW, CWD, XCHG, INC, DEC, INT3
HARMLESS = (0x90, 0xF8, 0xF9, 0x98, 0x99, 0x91, 0x92, 0x40, 0x41, 0x42, 0x48, 0x49, 0x4A, 0xCC, 0xCC)


# Not met by chance: what would end the machine, read time or hardware, or do what QEMU's TCG does
# not do as the manual says.
NEVER = frozenset(
    [0xF4, 0xF1, 0xC6, 0xC7, 0x0F, 0xEA, 0x9A, 0xCF, 0xCB, 0xCA, 0x60, 0x61, 0xC8, 0x9D, 0x8E, 0x17,
     0x07, 0x1F, 0xC4, 0xC5, 0x8F, 0xFF, 0x9B, 0xC2, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0,
     0xF2, 0xF3]
    + list(range(0xE4, 0xE8)) + list(range(0xEC, 0xF0)) + list(range(0x6C, 0x70))
    + list(range(0xD8, 0xE0)) + [0x70 + c for c in range(16)] + [0xE0, 0xE1, 0xE2, 0xE3, 0xEB, 0xE8,
                                                                 0xE9]
    + [0x0F00 | b for b in (0x00, 0x01, 0x05, 0x07, 0x0D, 0x0E, 0x0F, 0x18, 0x1A, 0x1B, 0x22, 0x23,
                            0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0xA1, 0xA2, 0xA9, 0xAA, 0xAE, 0xB2,
                            0xB4, 0xB5, 0xC7, 0xBC, 0xBD, 0xA4, 0xA5, 0xAC, 0xAD)]
    + [0x0F80 + c for c in range(16)]
    + [0x0F00 | b for b in range(0x10, 0x20)] + [0x0F00 | b for b in range(0x24, 0x30)]
    + [0x0F00 | b for b in range(0x36, 0x40)] + [0x0F00 | b for b in range(0x50, 0x80)]
    + [0x0F00 | b for b in range(0xC8, 0xD0)] + [0x0F90 + c for c in range(16)] + [0x0FBA, 0x0FB8, 0x0FC2, 0x0FC3, 0x0FC4, 0x0FC5, 0x0FC6] + [0x0F00 | b for b in range(0xD0, 0xFF)])

# class: (generator, weight). The names are those of the coverage table.
CLASSES = {
    "arithmetic": (arithmetic, 10), "arithmetic immediate": (arithmetic_immediate, 6),
    "unary": (unary, 4), "multiply": (multiply, 4), "divide": (divide, 2), "shift": (shift, 6),
    "double shift": (double_shift, 2), "decimal": (decimal, 2), "bit": (bits, 4), "move": (move, 12),
    "exchange": (exchange, 4), "lock": (locked, 2), "stack": (stack, 8),
    "push selector": (push_selector, 2), "flag": (flag_operation, 2),
    "virtual flags": (virtual_flags, 8), "conditional": (conditional, 3), "branch": (branch, 7),
    "string": (string, 6), "xlat": (translate_byte, 1), "bound": (bound, 2), "into": (into, 1),
    "interrupt": (software_interrupt, 2), "undefined": (undefined, 1),
    "segment load": (segment_load, 5), "segment read": (segment_read, 3), "verify": (verify, 3),
    "table read": (table_read, 3), "control register": (control_register, 4),
    "machine status": (machine_status, 1), "debug register": (debug_register, 2),
    "model register": (model_register, 2), "identify": (identify, 2), "halt": (halt, 1),
    "port": (port, 3), "far jump": (far_jump, 3), "far call": (far_call, 2),
    "far return": (far_return, 3), "interrupt return": (interrupt_return, 4),
    "local table": (local_table, 2), "self-modifying": (self_modifying, 2),
}
LAST = {"any byte": (wild, 1)}  # only at the end of a sequence
# Those that go through DS without a choice.
USES_DATA_SEGMENT = frozenset(("bound", "segment load", "far jump", "branch", "self-modifying"))
