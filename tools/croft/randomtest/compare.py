"""Whether two machines agree on how a sequence ended.

A line of the kernel is made of fields. What the manual leaves undefined is taken out by the opcode
that left it so (flags.py); what a machine is known to do differently is explained by known.py.
"""

import dataclasses

from . import flags, known
from .sequence import BASE, LOW_BASE, VM

TRAPS = frozenset((1, 3, 4))  # the saved EIP is behind the instruction; as for INT n


@dataclasses.dataclass
class Verdict:
    """differing: {field: (expected, got)}; rules: the names that explain it, None if nothing does."""

    differing: dict
    rules: set = None

    def mismatch(self):
        return bool(self.differing) and self.rules is None

    def text(self):
        return " ".join(f"{name}:{a}/{b}" for name, (a, b) in sorted(self.differing.items()))


def fields_of(line):
    return dict(word.split("=", 1) for word in line.split()[1:])


def place_of(fields):
    """Where in the sandbox the saved EIP points, whatever the mode."""
    eip = int(fields["eip"], 16)
    if int(fields["flags"], 16) & VM:
        return int(fields["cs"], 16) * 16 + eip - LOW_BASE
    return eip - BASE if eip >= BASE else eip


def index_at(sequence, fields):
    """The index of the instruction that the ending is at, None if it is elsewhere."""
    offsets, place = sequence.offsets(), place_of(fields)
    return offsets.index(place) if place in offsets else None


def culprit(sequence, fields):
    """The instruction that raised what ended the sequence; None if it is not known."""
    index = index_at(sequence, fields)
    if index is None:
        return None
    vector = int(fields["v"], 16)
    if vector in TRAPS or vector >= 0x20:
        index -= 1
    return sequence.instructions[index] if 0 <= index < len(sequence.instructions) else None


def _undefined_flags(sequence, fields):
    before = flags.undefined_before(sequence.instructions)
    index = index_at(sequence, fields)
    if index is not None:
        return before[index]
    everywhere = 0
    for mask in before:
        everywhere |= mask
    return everywhere


def _masked(sequence, fields):
    value = int(fields["flags"], 16) & ~_undefined_flags(sequence, fields)
    return {**fields, "flags": format(value, "x")}


def compare(sequence, expected_line, got_line, emulator):
    """A line that begins with "!" tells that the sequence ended the kernel; two such lines are as
    good as equal, unless the monitor panicked."""
    if expected_line.startswith("!") or got_line.startswith("!"):
        same = expected_line[0] == got_line[0] and "panic" not in got_line.lower()
        if same:
            return Verdict({})
        verdict = Verdict({"run": (expected_line, got_line)})
        if not got_line.startswith("!"):
            got = fields_of(got_line)
            verdict.rules = known.explain_end(
                known.Case(sequence, None, culprit(sequence, got), {}, got), emulator.rules)
        return verdict
    expected, got = (_masked(sequence, fields_of(line)) for line in (expected_line, got_line))
    differing = {name: (expected.get(name), got.get(name)) for name in {*expected, *got}
                 if expected.get(name) != got.get(name)}
    if not differing:
        return Verdict({})
    case = known.Case(sequence, culprit(sequence, expected), culprit(sequence, got), expected, got)
    return Verdict(differing, known.explain(case, differing, emulator.rules))
