"""Planted bugs: in each table of the monitor one row changed. The random tester has to find each.

    planted.py FOLDER [NAME...]

copies the tree to FOLDER, changes one row at a time there, builds, and runs the tester until it finds a
mismatch. Prints after how many sequences; ends with 1 if a bug was not found.
"""

import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST = 12000  # sequences until a planted bug counts as not found

# name: (engine that runs the table, file, row, the same row with a bug)
PLANTED = {
    "opcode classes, one byte": (
        "translate", "monitor/instruction/opcode_tables_one_byte.cpp",
        "map.set(0x9d, sensitive(popf)", "map.set(0x9d, plain(popf)"),
    "opcode classes, two bytes": (
        "translate", "monitor/instruction/opcode_tables_two_byte.cpp",
        "map.set(0xa0, sensitive(push_segment", "map.set(0xa0, plain(push_segment"),
    "opcode rows: operand": (
        "interpret", "monitor/instruction/opcode_tables_two_byte.cpp",
        'map.set(0xbf, plain(movsx, "Gv Ew"))', 'map.set(0xbf, plain(movsx, "Gv Eb"))'),
    "opcode rows: LOCK": (
        "interpret", "monitor/instruction/opcode_tables_one_byte.cpp",
        'map.set(0x87, plain(xchg, "Ev Gv").locks())', 'map.set(0x87, plain(xchg, "Ev Gv"))'),
    "page-fault causes": (
        "translate", "monitor/memory/page_fault.hpp",
        "if (facts.in_descriptor_table && facts.write) return descriptor_accessed;", ""),
    "rights of a page": (
        "translate", "monitor/memory/guest_walk.hpp",
        "return privilege == Privilege::supervisor && !write_protect;",
        "return privilege == Privilege::supervisor && write_protect;"),
    "error code of a page fault": (
        "translate", "monitor/memory/guest_walk.hpp",
        "if (walk.result != WalkResult::not_present) code |=",
        "if (walk.result == WalkResult::mapped && access == PageAccess::write) code |="),
    "checks of a data segment": (
        "interpret", "monitor/segment/load.cpp",
        "selector::rpl(selector) <= descriptor.dpl() && cpl <= descriptor.dpl();",
        "cpl <= descriptor.dpl();"),
    "checks of a gate": (
        "interpret", "monitor/interrupts.cpp",
        "if (is_software(event) && gate.dpl() < vcpu.cpl)", "if (is_software(event) && gate.dpl() > vcpu.cpl)"),
    "flags at a handler": (
        "translate", "monitor/interrupts.cpp",
        "if (gate.is_interrupt_gate()) vcpu.eflags &=", "if (gate.is_trap_gate()) vcpu.eflags &="),
    "flags that POPF changes": (
        "interpret", "monitor/instruction/interpreter_flags.cpp",
        "if (real_mode || vcpu.cpl <= vcpu.iopl()) which |=", "if (real_mode || vcpu.cpl == 0) which |="),
    "arithmetic flags": (
        "interpret", "monitor/instruction/arithmetic.hpp",
        "((a ^ b ^ value) & eflags::adjust)", "((a ^ value) & eflags::adjust)"),
    "what LSL tells": (
        "translate", "monitor/segment/verify.cpp",
        "return d.is_code_or_data() || d.is_ldt() || d.is_tss(); }",
        "return d.is_code_or_data() || d.is_tss(); }"),
    "what LAR tells": (
        "translate", "monitor/segment/verify.cpp", "found->high() & 0x00f0ff00", "found->high() & 0x00f0fe00"),
    "model-specific registers": (
        "translate", "monitor/cpu_model.cpp", "vcpu.sysenter_cs = low;", "vcpu.sysenter_esp = low;"),
    "16-bit addressing": (
        "interpret", "monitor/instruction/decoder.cpp", "{Register::ebp, Register::edi},", "{Register::ebx, Register::edi},"),
    "INT n in V86 mode": (
        "translate", "monitor/interrupts.cpp", "vcpu.virtual_8086() && vcpu.iopl() != 3",
        "vcpu.virtual_8086() && vcpu.iopl() == 0"),
    "I/O permission bitmap": (
        "interpret", "monitor/instruction/interpreter_string.cpp", "wanted = (1u << size) - 1;", "wanted = size;"),
    "stack of an inner ring": (
        "interpret", "monitor/interrupts.cpp", "merged_esp(ss, vcpu[Register::esp], stack.esp)", "stack.esp"),
    "entries of page tables": (
        "translate", "monitor/memory/shadow.cpp", "if (!table.key.is_directory() || !still_stands",
        "if (table.key.is_directory() && !still_stands"),
}


def _copy(folder):
    # Not what other tests may be writing.
    made = shutil.ignore_patterns(".git", "build", "build-*", "__pycache__", "cache")
    shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=made)
    shutil.rmtree(folder / "build", ignore_errors=True)


def _find(folder, engine):
    """How many sequences it took, None if there was no mismatch."""
    result = subprocess.run(
        [str(folder / "croft"), "test", "--random", str(MOST), "--seed", "planted", "--until-mismatch",
         "--engines", engine], capture_output=True, text=True, check=False)
    found = re.search(r"^mismatch: \S+ \S+/(\d+):", result.stdout, re.MULTILINE)
    if not found and result.returncode != 0:
        raise SystemExit(result.stdout[-2000:] + result.stderr[-2000:])
    return int(found.group(1)) + 1 if found else None


def main(words):
    folder = pathlib.Path(words[0])
    _copy(folder)
    missed = 0
    for name in words[1:] or PLANTED:
        engine, file, row, bug = PLANTED[name]
        text = (folder / file).read_text()
        if row not in text:
            raise SystemExit(f"{name}: {file} has no such row")
        (folder / file).write_text(text.replace(row, bug, 1))
        try:
            number = _find(folder, engine)
        finally:
            (folder / file).write_text(text)
        missed += number is None
        print(f"{name}: {'NOT FOUND' if number is None else f'found by sequence {number}'} ({engine})",
              flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
