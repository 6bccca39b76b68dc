"""Generators of changes of page tables: of one entry, or of an entry of the directory, with what makes the
processor see it, and an access then. Where the manual leaves open whether a change is seen (SDM volume 3,
4.10.2 and 4.10.4) nothing is generated: without a flush an entry changes only from absent to present."""

from .encoding import EAX, ECX, EDX
from .sequence import BASE, CHANGES_TABLES, V86

# Windows of the kernel (tests/random/kernel/sequence.hpp): entries, those for any ring, the directory's.
TABLE, USER_TABLE, DIRECTORY = 0xD00000, 0xD01000, 0xD02000
SANDBOX_SLOT, FREE_SLOT = 2, 4
FREE = FREE_SLOT << 22
FRAME_OF_PAGE = (0, 1, 2, 3, 4, 5, 6, 7, 0, 2, 5)
DATA_PAGES = (2, 3, 6, 7, 9, 10)
PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE, GLOBAL = 1, 2, 4, 0x20, 0x40, 0x80, 0x100
PSE, PGE = 0x10, 0x80


def _offset(e, linear):
    """In a segment of the sequence's kind."""
    return (linear - BASE + e.base & 0xFFFFFFFF).to_bytes(4, "little")


def _word(value):
    return (value & 0xFFFFFFFF).to_bytes(4, "little")


def access(e, linear):
    """Reads, writes or both, somewhere in this page."""
    at = _offset(e, linear + e.rng.choice((e.rng.randrange(0x40, 0xFF8), 0x40, 0xFFC)))
    register = e.rng.choice((EAX, ECX, EDX))
    operation = e.rng.choice((b"\x8b", b"\x8b", b"\x89", b"\x01", b"\x39", b"\x87"))
    if e.rng.random() < 0.15:
        e.emit(b"\xff\x05" + at)
    else:
        e.emit(operation + bytes((0x05 | register << 3,)) + at)


def _rights(e):
    rng = e.rng
    return rng.choice((PRESENT, PRESENT, PRESENT, 0)) | rng.choice((WRITABLE, WRITABLE, 0)) | rng.choice(
        (USER, USER, 0)) | rng.choice((0, 0, ACCESSED, ACCESSED | DIRTY, DIRTY)) | rng.choice((0, 0, 0, GLOBAL))


def _flush(e, linear, only_this_page):
    """What empties the TLB of an entry: INVLPG, the load of CR3 if it is not global, PGE's change."""
    choice = e.rng.randrange(3)
    if choice == 0 and only_this_page:
        e.emit(b"\x0f\x01\x3d" + _offset(e, linear + e.rng.choice((0, 0x123, 0xFFF))))
    elif choice == 1 and not e.may_be_global:
        e.emit(b"\x0f\x20\xd8")
        e.emit(b"\x0f\x22\xd8")
    else:
        e.emit(b"\x0f\x20\xe0")
        e.emit(b"\x35" + _word(PGE))
        e.emit(b"\x0f\x22\xe0")


def page_entry(e):
    """An entry of the sandbox's page table."""
    if e.mode == V86:
        return
    e.sequence.options |= CHANGES_TABLES
    waiting = sorted(e.absent & set(DATA_PAGES))
    if waiting and (e.ring or e.rng.random() < 0.6):
        page = e.rng.choice(waiting)
        table = USER_TABLE if e.ring == 3 else TABLE
        frame = FRAME_OF_PAGE[page] if e.rng.random() < 0.6 else e.rng.randrange(2, 8)
        value = BASE + frame * 0x1000 | _rights(e) & ~GLOBAL | PRESENT | (USER if e.ring == 3 else 0)
        _store(e, table + 4 * page, value)
        e.absent.discard(page)
        access(e, BASE + page * 0x1000)
        return
    if e.ring:
        return
    page = e.rng.choice(DATA_PAGES)
    e.absent.discard(page)
    linear = BASE + page * 0x1000
    if e.rng.random() < 0.6:
        frame = FRAME_OF_PAGE[page] if e.rng.random() < 0.6 else e.rng.randrange(2, 8)
        rights = _rights(e)
        e.may_be_global |= bool(rights & GLOBAL)
        _store(e, TABLE + 4 * page, BASE + frame * 0x1000 | rights)
    else:
        bit = e.rng.choice((1, 1, 2, 5, 5, 6, 6))
        _change_bit(e, TABLE + 4 * page, bit)
    _flush(e, linear, True)
    access(e, linear)


def _store(e, linear, value):
    at = _offset(e, linear)
    if e.rng.random() < 0.6:
        e.emit(b"\xc7\x05" + at + _word(value))
    else:
        e.load(ECX, value)
        e.emit(e.rng.choice((b"\x89\x0d", b"\x87\x0d")) + at)


def _change_bit(e, linear, bit):
    """Sets or clears it in place."""
    at = _offset(e, linear)
    choice = e.rng.randrange(4)
    if choice == 0:
        e.emit(b"\x0f\xba\x2d" + at + bytes((bit,)))
    elif choice == 1:
        e.emit(b"\x0f\xba\x35" + at + bytes((bit,)))
    elif choice == 2:
        e.emit(b"\x81\x25" + at + _word(~(1 << bit)))
    else:
        e.emit(b"\xf0\x81\x0d" + at + _word(1 << bit))


def directory_entry(e):
    """The directory's entry for the sandbox; or one that was empty: the sandbox's table there too, or 4 MB."""
    if e.ring or e.mode == V86:
        return
    e.sequence.options |= CHANGES_TABLES
    if e.rng.random() < 0.35:
        _change_bit(e, DIRECTORY + 4 * SANDBOX_SLOT, e.rng.choice((1, 2, 5)))
        _flush(e, BASE, False)
        access(e, BASE + e.rng.choice(DATA_PAGES) * 0x1000)
        return
    entry = DIRECTORY + 4 * FREE_SLOT
    if e.rng.random() < 0.5:
        e.emit(b"\xa1" + _offset(e, DIRECTORY + 4 * SANDBOX_SLOT))
        e.emit(b"\x25" + _word(~e.rng.choice((0, WRITABLE, ACCESSED, ACCESSED | WRITABLE))))
        e.emit(b"\xa3" + _offset(e, entry))
    else:
        e.load(EDX, PSE)
        e.emit(b"\x0f\x22\xe2")
        rights = _rights(e) & ~GLOBAL | PRESENT
        _store(e, entry, BASE | LARGE | rights)
    if not e.free_is_absent:
        _flush(e, FREE, False)
    e.free_is_absent = False
    for _ in range(e.rng.randrange(1, 3)):
        access(e, FREE + e.rng.choice(DATA_PAGES[:4]) * 0x1000)


def write_protect(e):
    """CR0.WP changes, and a write then."""
    if e.ring or e.mode == V86:
        return
    e.emit(b"\x0f\x20\xc0")
    e.emit(b"\x35" + _word(0x10000))
    e.emit(b"\x0f\x22\xc0")
    access(e, BASE + e.rng.choice(DATA_PAGES) * 0x1000)
