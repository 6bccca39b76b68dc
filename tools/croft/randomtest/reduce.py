"""Makes a sequence that two machines disagree on as small and plain as it can be."""

import copy
import dataclasses

from . import compare, flags, runner
from .sequence import Sequence

FIELDS = ("eflags", "cr0", "cr4", "ldtr", "directory_rights", "code_offset", "options", "task_limit", "ports")
WHOLE_LISTS = ("gdt", "ldt", "gates", "words", "inner", "segments")
LISTS = ("rights", "general", "gdt", "words")
MOST_ROUNDS = 20


def without(sequence, first, count):
    """The sequence with some instructions taken out; branches go to what is left."""
    made = copy.deepcopy(sequence)

    def moved(target):
        return max(first, target - count) if target > first else target

    made.instructions = [
        one if one.target is None else dataclasses.replace(one, target=moved(one.target))
        for index, one in enumerate(sequence.instructions) if not first <= index < first + count]
    return made


def consumes_undefined(sequence):
    before = flags.undefined_before(sequence.instructions)
    return any(flags.effect(one.code, one.sixteen).reads & mask
               for one, mask in zip(sequence.instructions, before))


def _with(sequence, name, value):
    made = copy.deepcopy(sequence)
    setattr(made, name, value)
    return made


def candidates(sequence):
    """Simpler sequences, the boldest first."""
    length = len(sequence.instructions)
    size = length // 2
    while size:
        for first in range(0, length - size + 1, size):
            yield without(sequence, first, size)
        size //= 2
    plain = Sequence([], sequence.ring, sequence.mode)
    for name in FIELDS + WHOLE_LISTS:
        if getattr(sequence, name) != getattr(plain, name):
            yield _with(sequence, name, copy.copy(getattr(plain, name)))
    for name in LISTS:
        values = getattr(sequence, name)
        for index, value in enumerate(values):
            simple = getattr(plain, name)[index]
            if value != simple and not (name == "general" and index == 4):
                yield _with(sequence, name, values[:index] + [simple] + values[index + 1:])


def _kind(verdict):
    """What a smaller sequence has to share with the first, so that it shows the same thing."""
    return frozenset(verdict.differing) - {"flags"}


def mismatches(emulator, machine, sequences, folder):
    """Those of the sequences that end differently, with their verdicts."""
    expected = runner.run(emulator.bare, sequences, folder)
    got = runner.run(machine, sequences, folder)
    found = []
    for index, sequence in enumerate(sequences):
        verdict = compare.compare(sequence, expected[index], got[index], emulator)
        if verdict.mismatch():
            found.append((sequence, verdict))
    return found


def reduce(emulator, machine, sequence, folder):
    """(the smallest sequence found, its verdict); (None, None) if it does not fail alone."""
    alone = mismatches(emulator, machine, [sequence], folder)
    if not alone:
        return None, None
    best, kind = alone[0], _kind(alone[0][1])
    for _ in range(MOST_ROUNDS):
        tries = [one for one in candidates(best[0]) if not consumes_undefined(one)]
        # One that ends the monitor costs a boot: few at a time then.
        if "run" in best[1].differing:
            tries = tries[:12]
        smaller = [one for one in mismatches(emulator, machine, tries, folder) if _kind(one[1]) == kind]
        if not smaller:
            break
        best = smaller[0]
    return best
