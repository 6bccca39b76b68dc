"""Selectors that sequences load, jump to and look at: the fixed ones of the kernel's tables, the random
ones, and some beyond (tests/random/kernel/sequence.hpp); in virtual-8086 mode segments."""

from .sequence import SMALL, V86, V86_SEGMENT, small_selector

CODE_SELECTORS = (0x10, 0x41, 0x52, 0x23)  # flat, by ring
STACK_SELECTORS = (0x18, 0x49, 0x5A, 0x2B)
SYSTEM_SELECTORS = (0x30, 0x60, 0x60, 0x78)  # a TSS, the LDT, TASK
TASK = 0x78  # of a task that ends at once
SELECTORS = (0x10, 0x18, 0x23, 0x2B, 0x41, 0x49, 0x52, 0x5A, 0x30, 0x60, 0x70, 0)
SEGMENTS = (V86_SEGMENT,) * 6 + (V86_SEGMENT + 1, V86_SEGMENT + 0x80, V86_SEGMENT - 0x10, V86_SEGMENT + 0x200,
                                 V86_SEGMENT + 0x3FF, 0, 0xFFFF)


def any_selector(e):
    if e.mode == V86:
        return e.rng.choice(SEGMENTS) if e.rng.random() < 0.95 else e.rng.getrandbits(16)
    if e.mode == SMALL and e.rng.random() < 0.3:
        return small_selector(e.rng.choice((0, 4, 4)), e.rng.randrange(4)) & ~3 | e.rng.choice((0, e.ring, 3))
    if e.rng.random() < 0.35:
        return e.rng.choice(SELECTORS) | e.rng.choice((0, 0, 0, 1, 2, 3))
    if e.rng.random() < 0.3:
        return e.rng.randrange(10) << 3 | 4 | e.rng.randrange(4)
    if e.rng.random() < 0.03:
        return e.rng.getrandbits(16) & 0xFFF8
    return e.rng.randrange(16, 32) << 3 | e.rng.choice((0, 3, e.rng.randrange(4)))


def code_selector(e, ring, sixteen):
    """Of code of this ring and width in which the sequence can go on."""
    if e.mode == V86:
        return V86_SEGMENT
    return small_selector(0, ring) if sixteen else CODE_SELECTORS[ring]


def stack_selector(e, ring):
    if e.mode == V86:
        return V86_SEGMENT
    return small_selector(4, ring) if e.mode == SMALL else STACK_SELECTORS[ring]
