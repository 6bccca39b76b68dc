"""Differences that are known and wanted: where QEMU's TCG departs from the manual, and where
Undercroft does on purpose. docs/testing.md lists them with the manual's sections.

A rule explains single fields of a line, under conditions as narrow as can be said; a difference is
known if each of its fields is explained.
"""

import dataclasses

from . import flags
from .sequence import LOW_BASE, PAGES, SMALL, V86

RF = 0x10000


@dataclasses.dataclass
class Case:
    """One ending on both machines."""

    sequence: object
    culprit: object  # the instruction that ended it, None if unknown
    got_culprit: object
    expected: dict
    got: dict

    def number(self, name, side="expected"):
        return int(getattr(self, side).get(name, "0"), 16)

    def only_accessed_or_dirty(self, field):
        """Whether a page entry differs in A and D alone; the field has what the sequence changed."""
        return (self.number(field) ^ self.number(field, "got")) & ~0x60 == 0

    def vector(self):
        return self.number("v")

    def opcode(self, side="expected"):
        culprit = self.culprit if side == "expected" else self.got_culprit
        if culprit is None:
            return None, 0
        _, opcode, rest = flags.split(culprit.code)
        return opcode, rest[0] >> 3 & 7 if rest else 0


FAULTS = frozenset((0, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 19))


def _difference_in_a_frame(case, field):
    """What differs in a word that was pushed before the fault that became a double fault, but for flags that the
    manual leaves undefined. None: it may be no such word."""
    if field[0] != "m" or case.vector() != 8:
        return None
    undefined = 0
    for mask in flags.undefined_before(case.sequence.instructions):
        undefined |= mask
    return (case.number(field) ^ case.number(field, "got")) & ~undefined


def _undefined_in_a_frame(case, field):
    """A flag that the manual leaves undefined."""
    return _difference_in_a_frame(case, field) == 0


def _in_a_frame(case, field):
    """TCG leaves out RF of the flags and EXT of the error code (SDM volume 3, 17.3.1.1 and 6.13). Each is the
    lowest bit of a byte; the stack may be misaligned."""
    missing = _difference_in_a_frame(case, field)
    return missing in (1, 1 << 8, 1 << 16, 1 << 24) and case.number(field, "got") & missing != 0


def _first_of_two_pages(case, field):
    """Whether A is set in the first of two pages where the second faults is not said. TCG sets it for a read."""
    return (field.startswith("page") and case.vector() in (8, 14) and case.number("cr2") & 0xFFF == 0
            and field not in case.got and case.number(field) == 0x20)


def _resume_flag(case, field):
    """RF is set in the flags that a fault saves (SDM volume 3, 17.3.1.1). TCG leaves it out."""
    return (field == "flags" and case.number("v", "got") in FAULTS
            and case.number("flags") | RF == case.number("flags", "got"))


def writes_what_it_reads(opcode, register):
    """Whether the instruction reads its memory operand before it writes it."""
    if opcode < 0x40:
        return opcode & 7 < 2 and opcode >> 3 != 7
    if 0x80 <= opcode <= 0x83:
        return register != 7
    if opcode in (0xF6, 0xF7):
        return register in (2, 3)
    if opcode in (0xFE, 0xFF):
        return register < 2
    if opcode in (0x0FBA,):
        return register > 4
    return opcode in (0x63, 0x86, 0x87, 0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3, 0x0FA4, 0x0FA5, 0x0FAC, 0x0FAD,
                      0x0FAB, 0x0FB3, 0x0FBB, 0x0FB0, 0x0FB1, 0x0FC0, 0x0FC1, 0x0FC7)


def _read_first(case, field):
    """A read-modify-write access that faults is a write (SDM volume 3, 4.7). TCG reads first: its
    read faults, or sets A where the write is not allowed."""
    if case.vector() not in (8, 14):
        return False
    # Without a culprit it was a wild jump: to the kernel's zeros, which are ADD [EAX], AL, or to data.
    if case.culprit is not None and not writes_what_it_reads(*case.opcode()):
        return False
    if field.startswith("page"):
        return case.only_accessed_or_dirty(field)
    return field == "e" and case.number("e") | 2 == case.number("e", "got")


def _stack_as_supervisor(case, field):
    """A far call, return or INT without a change of ring accesses the stack with the rights of its CPL. TCG does so as ring 0, and
    goes on where user code meets a supervisor page."""
    opcode, register = case.opcode("got")
    far = opcode in (0x9A, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE) or opcode == 0xFF and register == 3
    return far and case.number("v", "got") == 14 and case.number("e", "got") & 4 != 0


FAR = frozenset((0xEA, 0x9A, 0xCA, 0xCB, 0xCF))


def _is_far(instruction):
    _, opcode, rest = flags.split(instruction.code)
    return opcode in FAR or opcode == 0xFF and rest and rest[0] >> 3 & 7 in (3, 5)


def _not_accessed(case, field):
    """A far transfer sets the accessed bits of what it loads (SDM volume 3, 3.4.5.1). TCG does not."""
    return (field[0] == "d" and field[1:].isalnum() and field not in case.expected
            and case.got[field] == "100" and any(map(_is_far, case.sequence.instructions)))


def _table_in_parts(case, field):
    """SGDT and SIDT whose operand crosses into a page that faults: TCG has written the first page."""
    opcode, register = case.opcode()
    return (case.vector() in (8, 14) and opcode == 0x0F01 and register < 2
            and (field[0] == "m" or field.startswith("page")) and field not in case.got)


def _enable_and_step(case, field):
    """STI holds back interrupts, not the single step (SDM volume 3, 6.8.3). TCG holds back both."""
    return case.number("v", "got") == 1 and case.opcode("got")[0] == 0xFB


def _enter_without_probe(case, field):
    """ENTER faults if its last stack address cannot be written (SDM volume 2). TCG does not look."""
    return case.opcode("got")[0] == 0xC8 and case.number("v", "got") in (8, 14)


def _emulated_and_switched(case, field):
    """With CR0.EM and TS an MMX or SSE instruction is #UD (SDM volume 3, 12.1). TCG raises #NM."""
    opcode, _ = case.opcode()
    return (field == "v" and case.vector() == 7 and case.number("v", "got") == 6
            and opcode is not None and opcode >= 0x0F00)


def _resume_flag_before(case, field):
    """What a double fault saves as RF is not said. Bochs has set it for the fault before."""
    return (case.vector() == 8 and field in ("flags", "t1")
            and case.number(field) == case.number(field, "got") | RF)


SSE_STORES = frozenset((0x0F11, 0x0F13, 0x0F17, 0x0F29))


def _stored_in_halves(case, field):
    """TCG writes 16 bytes in two halves, of which the first may be done when the second faults."""
    return (case.vector() in (8, 14) and case.opcode()[0] in SSE_STORES
            and (field[0] == "m" or field.startswith("page")) and field not in case.got)


def _privilege_first(case, field):
    """An instruction that reaches into a page that cannot be fetched is a page fault (SDM volume 3,
    6.9), and sets A of one that can. TCG has looked at the CPL before it fetches all of it."""
    if case.vector() == 13 and case.number("v", "got") == 13 and field.startswith("page"):
        return (case.number("eip") & 0xFFF > 0xFF1 and field not in case.expected
                and case.number(field, "got") & ~0x20 == 0)
    return (case.vector() == 13 and case.number("v", "got") == 14
            and case.number("cr2", "got") & 0xFFF == 0
            and 0 < case.number("cr2", "got") - case.number("eip", "got") < 15)


def _null_kept(case, field):
    """A return to an outer ring makes a null FS or GS 0 (SDM volume 2, IRET). TCG keeps its RPL."""
    return (field in ("fs", "gs") and 0 < case.number(field) < 4 and case.number(field, "got") == 0
            and any(map(_is_far, case.sequence.instructions)))


def _compare_order(case, field):
    """CMPS reads ES:EDI first on processors and TCG, DS:ESI on Bochs; the manual does not say."""
    return case.opcode()[0] in (0xA6, 0xA7) and (
        field in ("v", "e", "cr2") or field.startswith("page") and case.only_accessed_or_dirty(field))


def _gate_from_a_16_bit_stack(case, field):
    """A 32-bit call gate to an inner ring pushes ESP (SDM volume 2, CALL), Bochs SP if the stack is of 16 bits."""
    return ((field == "s1" or field[0] == "m") and case.sequence.mode == SMALL
            and any(one.kind in ("far call", "gate") for one in case.sequence.instructions)
            and case.number(field) == case.number(field, "got") & 0xFFFF)


def _limit_in_v86(case, field):
    """Segments end at 64 KB in virtual-8086 mode (SDM volume 3, 20.2.1). TCG does not look, and goes on or meets
    what lies beyond."""
    if case.sequence.mode != V86 or case.number("v", "got") not in (12, 13) or case.number("e", "got"):
        return False
    beyond = case.vector() == 14 and case.number("cr2") - LOW_BASE & 0xFFFFFFFF > 0xFFFC
    return beyond or case.number("eip") > 0xFFFF


def _time(case, field):
    """RDTSC shows the time if what overwrites EAX and EDX behind it is not reached."""
    return (field in ("eax", "edx") and case.vector() in (1, 8, 14) and case.culprit is not None
            and case.culprit.kind == "identify")


def _all_registers_order(case, field):
    """PUSHA pushes EAX first. TCG begins at the other end, and its fault is elsewhere."""
    return case.vector() in (8, 14) and case.opcode()[0] == 0x60 and (
        field == "cr2" or field[0] == "m" or field.startswith("page"))


def _popped_before_fault(case, field):
    """What the other registers than ESP hold when POPA faults is not said. TCG has changed some, as
    AMD's processors have; Undercroft none."""
    return (case.opcode()[0] == 0x61 and case.vector() in (8, 12, 14)
            and field in ("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi"))


def _directory_first(case, field):
    """A stands for a translation that was used (SDM volume 3, 4.8). TCG sets it in the directory
    before it looks at the rights."""
    return (field in (f"page{PAGES:x}", f"page{PAGES + 1:x}") and case.vector() in (8, 14)
            and case.number(field) ^ case.number(field, "got") == 0x20)


RULES = {
    "TCG: A in the directory before rights": _directory_first,
    "TCG: RF in the flags of a fault": _resume_flag,
    "TCG: RF and EXT in a frame": _in_a_frame,
    "TCG: A in the first of two pages": _first_of_two_pages,
    "TCG: read-modify-write reads first": _read_first,
    "TCG: order of PUSHA": _all_registers_order,
    "POPA half done": _popped_before_fault,
    "TCG: far calls, returns and INT use the stack as ring 0": _stack_as_supervisor,
    "TCG: far transfers set no accessed bit": _not_accessed,
    "TCG: STI holds the single step back": _enable_and_step,
    "TCG: SGDT and SIDT write in parts": _table_in_parts,
    "TCG: ENTER does not probe": _enter_without_probe,
    "TCG: #NM before #UD of MMX and SSE": _emulated_and_switched,
    "Bochs: RF of the fault before a double fault": _resume_flag_before,
    "TCG: SSE stores in halves": _stored_in_halves,
    "TCG: CPL before the whole instruction is fetched": _privilege_first,
    "TCG: a null FS or GS keeps its RPL": _null_kept,
    "Bochs: CMPS reads DS:ESI first": _compare_order,
    "Bochs: a call gate pushes SP of a 16-bit stack": _gate_from_a_16_bit_stack,
    "TCG: limits in V86 mode": _limit_in_v86,
    "undefined flags in a frame": _undefined_in_a_frame,
    "time": _time,
}


def _hangs_at_cr4(case):
    """MOV to CR4 of a reserved bit is #GP(0) (SDM volume 3, 2.5)."""
    return case.number("v", "got") == 13 and case.opcode("got") == (0x0F22, 4)


# Of a sequence that ended the bare machine and not Undercroft.
RULES_OF_ENDS = {"TCG: hangs at a reserved bit of CR4": _hangs_at_cr4}


def explain_end(case, emulator):
    """As explain()."""
    return {name for name, rule in RULES_OF_ENDS.items() if name.startswith(emulator) and rule(case)} or None


def explain(case, fields, emulator):
    """`fields`: of the line. The names of the rules that explain all of the fields; None if one is left over. Rules of other
    emulators than this one ("TCG: ", "Bochs: ") do not count."""
    names = [name for name in RULES if name.startswith(emulator) or ": " not in name]
    used = set()
    for field in fields:
        rule = next((name for name in names if RULES[name](case, field)), None)
        if rule is None:
            return None
        used.add(rule)
    return used
