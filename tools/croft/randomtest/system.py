"""Generators of what the monitor is for: flags with IF and IOPL, segments, control registers, ports, and
the exceptions that an instruction asks for."""

from .encoding import DATA, DS, EAX, ECX, EDX, ES, FS, GS, SS
from .selectors import SYSTEM_SELECTORS, any_selector
from .sequence import V86


def push_selector(e):
    segment = e.rng.choice((b"\x06", b"\x0e", b"\x16", b"\x1e", b"\x0f\xa0", b"\x0f\xa8"))
    # Bochs writes 16 bits of 32, and what is read later then differs.
    e.emit(e.size_prefix(1 if e.profile.strict else 0.15) + segment)


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
        frame = e.frame_size()
        e.push(value, frame)
        e.emit(frame[0] + b"\x9d")


def bound(e):
    address = e.base + 0x2000 + 4 * e.rng.randrange(8)
    e.emit(bytes((0x62, 0x05 | e.rng.choice(DATA) << 3)) + address.to_bytes(4, "little"))


def into(e):
    e.emit(b"\xce")


def software_interrupt(e):
    vector = e.rng.choice((3, 4, 5, 0x20, 0x30, 0x80, 0x81, 0xC0, 0xFF))
    if e.mode == V86 and e.rng.random() < 0.7:
        vector = 0x40 + e.rng.randrange(5)  # what the guest's monitor redirects, and one more
    if e.profile.strict and e.rng.random() < 0.2:
        e.emit(b"\xf1")  # under TCG it stops the machine
        return
    e.emit(e.rng.choice((b"\xcc", bytes((0xCD, vector)), bytes((0xCD, vector)))))


def undefined(e):
    e.emit(e.rng.choice((b"\x0f\x0b", b"\x0f\xb9\xc0", b"\xff\xff", b"\x8e\xc8", b"\x8d\xc0",
                         b"\x0f\x04", b"\xf0\x90", b"\xf0\x0f\x0b", b"\xc4\xc0",
                         b"\x62\xc0", b"\x0f\xc7\xc8", b"\xfe\xf8")))


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
        frame = e.frame_size()
        e.push(selector, frame)
        e.emit(frame[0] + {ES: b"\x07", SS: b"\x17", DS: b"\x1f", FS: b"\x0f\xa1", GS: b"\x0f\xa9"}[segment])
    else:
        prefix, size = e.frame_size()
        address = e.base + 0x2000 + 8 * e.rng.randrange(8)
        e.emit(prefix + b"\xc7\x05" + (address + size).to_bytes(4, "little") + selector.to_bytes(size, "little"))
        opcode = {ES: b"\xc4", SS: b"\x0f\xb2", DS: b"\xc5", FS: b"\x0f\xb4", GS: b"\x0f\xb5"}[segment]
        e.emit(prefix + opcode + bytes((0x05 | e.rng.choice(DATA) << 3,)) + address.to_bytes(4, "little"))
    if not e.profile.strict and e.mode != V86:
        e.risky.add(segment)


def segment_read(e):
    segment = e.rng.randrange(6)
    prefix, tail = e.operand(segment, True, 0.4)
    e.emit(e.size_prefix(0.2) + prefix + b"\x8c" + tail)


def verify(e):
    register = e.rng.choice(DATA)
    of_system = e.rng.random() < 0.3
    e.load(register, e.rng.choice(SYSTEM_SELECTORS) if of_system else any_selector(e))
    choice = e.rng.choice((0, 1, 1, 2, 4)) if of_system else e.rng.randrange(5)
    target = e.rng.choice(DATA)
    if choice < 2:
        e.emit(bytes((0x0F, 0x02 + choice, 0xC0 | target << 3 | register)))
        if choice == 0:  # the bits where the limit was are undefined
            e.emit(bytes((0x81, 0xE0 | target)) + (0xF0FF00).to_bytes(4, "little"))
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


def local_table(e):
    """LLDT and LTR with selectors that are mostly wrong."""
    register = e.rng.choice(DATA)
    e.load(register, e.rng.choice((0x60, 0x60, 0, 0x18, 0x1000, any_selector(e) & ~4)))
    e.emit(bytes((0x0F, 0x00, 0xD0 | register)))
