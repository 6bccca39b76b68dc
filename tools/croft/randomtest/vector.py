"""Generators of x87, MMX and SSE instructions: a start from a known state, an operation, and a store that
shows the result. CR0.TS and EM and CR4.OSFXSR decide whether they run at all."""

from .encoding import EAX

X87_OPERATIONS = (b"\xd9\xe8", b"\xd9\xee", b"\xd9\xeb", b"\xd8\xc0", b"\xd8\xc8", b"\xd9\xe0",
                  b"\xd9\xe1", b"\xd9\xfa", b"\xd9\xfc")  # load a constant; add, change, round


def _with_memory(e, opcode, reg, write):
    prefix, tail = e.memory(reg, write)
    e.emit(prefix + opcode + tail)


def x87(e):
    e.emit(b"\xdb\xe3")
    e.emit(b"\xd9\xe8")
    for _ in range(e.rng.randrange(3)):
        e.emit(e.rng.choice(X87_OPERATIONS))
    choice = e.rng.randrange(6)
    if choice == 0:
        e.emit(b"\xdf\xe0")
    elif choice == 1:
        _with_memory(e, b"\xdb", 0, False)
    elif choice == 2:
        e.emit(b"\x9b")
        _with_memory(e, b"\xd9", 7, True)
    else:
        _with_memory(e, *e.rng.choice(((b"\xd9", 3), (b"\xdd", 3), (b"\xdb", 3), (b"\xdb", 7))), True)


def mmx_and_sse(e):
    if e.rng.random() < 0.5:
        e.emit(bytes((0x0F, 0x6E, 0xC0 | e.rng.choice((0, 1, 2)))))  # movd mm0, a data register
        e.emit(b"\x0f" + bytes((e.rng.choice((0xEF, 0xFE, 0xFD, 0xEB, 0x75)),)) + b"\xc0")
        _with_memory(e, b"\x0f\x7e", 0, True)
        e.emit(b"\x0f\x77")
        return
    e.emit(b"\x0f\x57\xc0")  # xorps
    e.load(EAX, e.rng.randrange(1000))
    e.emit(b"\xf3\x0f\x2a\xc0")  # cvtsi2ss
    e.emit(b"\xf3\x0f" + bytes((e.rng.choice((0x58, 0x59, 0x51, 0x5C)),)) + b"\xc0")
    _with_memory(e, b"\x0f\x11", 0, True)
