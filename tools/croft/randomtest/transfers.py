"""Generators of far transfers: jumps, calls, returns and IRET between segments and rings, gates, tasks."""

from .encoding import DS, EAX, ES, FS, GS
from .selectors import CODE_SELECTORS, STACK_SELECTORS, TASK, any_selector
from .sequence import BASE


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
    if not e.profile.strict:
        e.risky |= {ES, DS, FS, GS}
    if e.rng.random() < 0.7:
        e.load(EAX, STACK_SELECTORS[ring])
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
    if e.rng.random() < 0.6:
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
    e.emit(e.rng.choice((b"\x9a" + tail, b"\xea" + tail, b"\xcd\x5f")))
