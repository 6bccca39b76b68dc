"""Makes sequences: the state in which one starts, and its instructions."""

import dataclasses
import random

from . import flags
from .encoding import DS, Encoder, Profile
from .classes import CLASSES, LAST, SENSITIVE_IN_V86, USES_DATA_SEGMENT, V86_WEIGHT
from .selectors import CODE_SELECTORS, small_selector
from .sequence import (BASE, CODE_MAX, FLAT, FULL_RIGHTS, GATE_COUNT, GDT_COUNT, LDT_COUNT, PAGES, SMALL, TASK_LIMIT,
                       V86, V86_MONITOR, VM, WORD_COUNT, Sequence)

ENDS = (b"\x0f\x0b", b"\xcc", b"\xcd\x80")


def descriptor(rng, profile):
    """A segment descriptor, now and then of another kind."""
    kind = rng.random()
    base = rng.choice((0, 0, 0, BASE, BASE + 0x2000, rng.getrandbits(32)))
    limit, granularity = 0xFFFFF, 0xC
    access = 0x10 | rng.choice((2, 3, 3, 3, 0, 1))
    if kind < 0.3:
        access = 0x18 | rng.choice((2, 3, 3, 0, 1)) | (4 if profile.strict and rng.random() < 0.2
                                                       else 0) | 1
        base = 0
    elif kind < 0.36:
        access = rng.choice((0x0, 0x2, 0x8, 0xA, 0xD))  # reserved types, LDT
    if profile.limits:
        if rng.random() < 0.4:
            limit, granularity = rng.choice(((0xFFF, 4), (0x807, 0xC), (rng.getrandbits(20), 4)))
        if access & 0x18 == 0x10 and rng.random() < 0.2:
            access |= 4
    access |= rng.choice((0, 3, 3, 3, rng.randrange(4))) << 5 | (0x80 if rng.random() < 0.93 else 0)
    low = base << 16 & 0xFFFF0000 | limit & 0xFFFF
    high = base & 0xFF000000 | granularity << 20 | limit & 0xF0000 | access << 8 | base >> 16 & 0xFF
    return high << 32 | low


TRAMPOLINE = BASE + 0x1800  # INT3 in the second code page


def gate(rng, types, strict, mode):
    """A call, interrupt, trap or task gate to the trampoline, by a selector of some ring."""
    selector = rng.choice(CODE_SELECTORS) if rng.random() < 0.85 else rng.randrange(16, 32) << 3
    offset = TRAMPOLINE + rng.randrange(64)
    if mode == SMALL and rng.random() < 0.4:
        selector, offset = small_selector(0, rng.randrange(4)), offset - BASE
    if mode == V86 and not strict:  # TCG takes a handler of ring 1
        selector = rng.choice((0x10, 0x10, 0x10, 0x23))
    kind = rng.choice(types)
    if kind in (4, 6, 7):  # of 16 bits: the upper half of the offset is not used
        offset = offset & 0xFFFF | (rng.getrandbits(16) << 16 if strict else 0)
    access = kind | rng.choice((3, 3, 3, rng.randrange(4))) << 5
    access |= 0x80 if rng.random() < 0.93 else 0
    high = offset & 0xFFFF0000 | access << 8 | rng.choice((0, 0, 1, 3))
    return high << 32 | selector << 16 | offset & 0xFFFF


def page_rights(rng, needed):
    if rng.random() < 0.85:
        return FULL_RIGHTS
    rights = rng.choice((7, 3, 5, 1, 0, 7, 6)) | rng.choice((0, 0x20, 0x60)) | rng.choice((0, 0, 0x100))
    return rights | needed


def start_flags(rng, ring):
    value = 2 | rng.getrandbits(32) & 0x2008D5
    if rng.random() < 0.85:
        value |= 0x200
    if rng.random() < 0.08:
        value |= 0x400
    if rng.random() < 0.25:
        value |= rng.randrange(4) << 12
    if rng.random() < 0.05:
        value |= 0x4000
    if ring and rng.random() < 0.06:
        value |= 0x100
    return value


def small_segment(rng, profile, index, ring):
    """Of 16 bits, at the sandbox: code for index 0, data for 4."""
    limit, granularity = (0xFFFF, 0) if profile.limits and rng.random() < 0.7 else (0xFFFFF, 8)
    access = (0x9B if index == 0 else 0x93) | ring << 5
    return (granularity << 20 | limit & 0xF0000 | access << 8 | BASE >> 16) << 32 | limit & 0xFFFF


def start_ports(rng, sequence):
    """The I/O bitmap's contents, and where the TSS ends: in some cases within the bitmap."""
    sequence.ports = rng.choice((0, 0xFFFFFFFF, rng.getrandbits(32), rng.getrandbits(32) & rng.getrandbits(32)))
    sequence.task_limit = rng.choice((TASK_LIMIT, TASK_LIMIT + 116, TASK_LIMIT + 116, 0x68 + 0x10, 0x68 + 0x11,
                                      0x68 + 0x60, 0x68 + 0x61, 0x68 + 0x63))


def start_state(rng, profile, ring, mode):
    sequence = Sequence([], ring, mode)
    sequence.eflags = start_flags(rng, ring)
    if mode == V86:
        sequence.eflags = sequence.eflags & ~0x3000 | VM | rng.randrange(4) << 12
        sequence.options = V86_MONITOR if rng.random() < 0.6 else 0
    sequence.cr0 = 0x80000031 | (0x10000 if rng.random() < 0.75 else 0)
    for bit, chance in ((2, 0.3), (4, 0.08), (8, 0.12)):
        sequence.cr0 |= bit if rng.random() < chance else 0
    sequence.cr4 = rng.choice((0, 0, 0x10, 0x80, 0x200, 0x290)) | (4 if rng.random() < 0.15 else 0)
    sequence.gdt = [descriptor(rng, profile) for _ in range(GDT_COUNT)]
    sequence.ldt = [descriptor(rng, profile) for _ in range(LDT_COUNT)]
    for index in (8, 10, 12, 14):  # selectors C0h, D0h, E0h, F0h
        sequence.gdt[index] = gate(rng, (0xC, 0xC, 0xC, 0x4), profile.strict, mode)
    sequence.gates = [gate(rng, (0xE, 0xE, 0xF, 0x6, 0x7), profile.strict, mode) for _ in range(GATE_COUNT)]
    if mode == SMALL:
        for index in (0, 4):
            for of_ring in range(4):
                sequence.gdt[index + of_ring] = small_segment(rng, profile, index, of_ring)
        if rng.random() < 0.5:
            sequence.inner = [0x7800, small_selector(4, 1), 0x7C00, small_selector(4, 2)]
    if ring and rng.random() < 0.6 or mode == V86:
        start_ports(rng, sequence)
    user = 4 if ring == 3 else 0
    code_needed = 1 | user if rng.random() < 0.95 else 0
    for page in range(PAGES):
        needed = code_needed if page < 2 else 0
        sequence.rights[page] = page_rights(rng, needed)
    if rng.random() < 0.15:
        sequence.rights[rng.choice((2, 3, 6, 7, 9, 10))] = 0  # for tables.py to fill
    if rng.random() < 0.04:
        sequence.directory_rights = rng.choice((3, 5, 0x27, 7, 0x25))
    sequence.words = [rng.getrandbits(32) if rng.random() < 0.7 else rng.randrange(16)
                      for _ in range(WORD_COUNT)]
    sequence.code_offset = rng.choice((0x100, 0x1000 - rng.randrange(1, 60), rng.randrange(0xE00)))
    return sequence


def start_registers(encoder, sequence):
    rng = encoder.rng
    sequence.general = [encoder.value(), encoder.value(), encoder.value(), encoder.address(), 0,
                        encoder.address(), encoder.address(), encoder.address()]
    stack = 0x4000 + rng.randrange(0x100, 0x1F00)
    if rng.random() < 0.15:
        stack = rng.choice((0x4000, 0x5000, 0x6000)) + rng.randrange(0, 24)
    if rng.random() < 0.9:
        stack &= ~3
    sequence.general[4] = sequence.base() + stack


MODES = {FLAT: 6, SMALL: 2, V86: 2}  # with their weights


def generate(seed, number, profile=Profile(), modes=tuple(MODES)):
    """The sequence of this number; the same for the same seed, profile and modes."""
    rng = random.Random(f"{seed}/{number}")
    mode = rng.choices(modes, [MODES[one] for one in modes])[0]
    ring = 3 if mode == V86 else rng.choice((0, 0, 0, 3, 3, 3, 1, 2))
    sequence = start_state(rng, profile, ring, mode)
    encoder = Encoder(rng, sequence, profile)
    start_registers(encoder, sequence)
    names = list(CLASSES)
    weights = [CLASSES[name][1] * (V86_WEIGHT if mode == V86 and name in SENSITIVE_IN_V86 else 1)
               for name in names]
    steps = rng.randrange(1, 14)
    for _ in range(steps):
        before = len(encoder.out)
        encoder.kind = rng.choices(names, weights)[0]
        if DS in encoder.risky and encoder.kind in USES_DATA_SEGMENT:
            continue
        CLASSES[encoder.kind][0](encoder)
        if sum(one.length() for one in encoder.out) > CODE_MAX - 24:
            del encoder.out[before:]
            encoder.pending = [p for p in encoder.pending if p[0] < before]
            break
        encoder.settle()
    encoder.undefined = flags.undefined_before(encoder.out)[-1] if encoder.out else 0
    if rng.random() < 0.15:
        encoder.kind = "any byte"
        LAST["any byte"][0](encoder)
    else:
        encoder.kind = "end"
        encoder.emit(rng.choice(ENDS))
    encoder.settle(final=True)
    limit = len(encoder.out)
    sequence.instructions = [one if one.target is None or one.target <= limit else
                             dataclasses.replace(one, target=limit) for one in encoder.out]
    return sequence
