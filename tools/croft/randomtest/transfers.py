"""Generators of far transfers: jumps, calls, returns and IRET between segments and rings, gates, tasks."""

from .encoding import DS, EAX, ES, FS, GS
from .selectors import TASK, any_selector, code_selector, stack_selector
from .sequence import FLAT, SMALL, V86


def _width(e):
    """Of the code segment to go to: seldom the other one."""
    if e.mode == SMALL and e.rng.random() < 0.3:
        return not e.sixteen
    return e.sixteen


def _frame(e, sixteen):
    """(prefix, bytes) of a transfer to code of this width: flat code is beyond 64 KB."""
    if e.mode != FLAT and not sixteen:
        return b"", 4
    return e.frame_size()


def _goes_on(e, sixteen):
    """What is emitted next is for this width."""
    e.sixteen, e.flat_code = sixteen, e.mode == FLAT or not sixteen


def _selector(e, sixteen):
    # In V86 mode another segment is not refused, but shows other bytes at the same offset.
    return code_selector(e, e.ring, sixteen) if e.mode == V86 or e.rng.random() < 0.4 else any_selector(e)


def far_jump(e):
    sixteen = _width(e)
    selector = _selector(e, sixteen)
    tail = selector.to_bytes(2, "little")
    prefix, size = _frame(e, sixteen)
    flat = e.mode == FLAT or not sixteen
    if e.rng.random() < 0.6:
        e.emit(prefix + b"\xea", target=len(e.out) + 1, size=size, absolute=True, tail=tail, flat=flat)
    else:
        address = e.base + 0x2000 + 8 * e.rng.randrange(8)
        e.emit(prefix + b"\xc7\x05" + address.to_bytes(4, "little"), target=len(e.out) + 3, size=size,
               absolute=True, flat=flat)
        e.emit(b"\x66\xc7\x05" + (address + size).to_bytes(4, "little") + tail)
        e.emit(prefix + b"\xff\x2d" + address.to_bytes(4, "little"))
    _goes_on(e, sixteen)


def far_call(e):
    sixteen = _width(e)
    selector = _selector(e, sixteen)
    prefix, size = _frame(e, sixteen)
    e.emit(prefix + b"\x9a", target=len(e.out) + 1, size=size, absolute=True, tail=selector.to_bytes(2, "little"),
           flat=e.mode == FLAT or not sixteen)
    _goes_on(e, sixteen)


def outer(e, sixteen):
    """Rings not further in than the present one, seldom any."""
    ring = e.rng.randrange(e.ring, 4) if e.rng.random() < 0.9 else e.rng.randrange(4)
    if e.mode != V86 and e.rng.random() < 0.15:
        return any_selector(e), ring
    return code_selector(e, ring, sixteen), ring


def _outer_stack(e, ring, frame):
    e.push(stack_selector(e, ring) if e.rng.random() < 0.9 else any_selector(e), frame)
    e.push(e.base + 0x6000 + e.rng.randrange(0x100, 0xF00, 4), frame)


def _return(e, opcode, flags):
    sixteen = _width(e)
    selector, ring = outer(e, sixteen)
    frame = _frame(e, sixteen)
    if ring > e.ring:
        _outer_stack(e, ring, frame)
    if flags is not None:
        e.push(flags, frame)
    e.push(selector, frame)
    e.push_place(2, frame, flat=e.mode == FLAT or not sixteen)
    e.emit(frame[0] + opcode)
    _goes_on(e, sixteen)
    _arrive(e, max(ring, e.ring))


def far_return(e):
    _return(e, b"\xcb", None)


def interrupt_return(e):
    value = 2 | e.rng.getrandbits(32) & (0x200CD5 | e.rng.choice((0, 0x200, 0x3000, 0x3200)))
    if e.rng.random() < 0.1:
        value |= 0x100
    _return(e, b"\xcf", value)


def _arrive(e, ring):
    """Where data segments of an inner ring are null now: sometimes others, else leave them alone."""
    if ring == e.ring:
        return
    e.ring = ring
    if not e.profile.strict:
        e.risky |= {ES, DS, FS, GS}
    if e.rng.random() < 0.7:
        e.load(EAX, stack_selector(e, ring))
        for segment in (ES, DS, FS, GS):
            e.emit(bytes((0x8E, 0xC0 | segment << 3)))
            e.risky.discard(segment)


def _settled(e):
    """The flags are about to be saved in memory: none of them may be undefined."""
    if e.undefined:
        e.emit(bytes((0x3C, e.rng.randrange(256))))


def gate(e):
    """INT through one of the random gates, or a call or jump through one of the random descriptors."""
    _settled(e)
    if e.mode == V86 or e.rng.random() < 0.6:
        e.emit(bytes((0xCD, 0x60 + e.rng.randrange(8))))
        return
    selector = e.rng.choice((0x18, 0x1A, 0x1C, 0x1E)) << 3 | e.rng.choice((0, 3, e.ring))
    e.emit(bytes((e.rng.choice((0x9A, 0x9A, 0xEA)),)) + e.rng.getrandbits(32).to_bytes(4, "little")
           + selector.to_bytes(2, "little"))


def task(e):
    """Another task: far jump or call to its TSS, or INT through its gate."""
    _settled(e)
    if not e.profile.strict:
        e.emit(b"\xeb", target=len(e.out) + 1, size=1)  # TCG saves stale flags without a branch before
    tail = b"\0\0\0\0" + (TASK | e.rng.choice((0, 3, e.ring))).to_bytes(2, "little")
    e.emit(b"\xcd\x5f" if e.mode == V86 else e.rng.choice((b"\x9a" + tail, b"\xea" + tail, b"\xcd\x5f")))
