#!/usr/bin/env python3
"""Writes the table of functions that arch/x86/symbols.cpp searches, as assembler source.

symbols.py NM_OUTPUT OUTPUT    (NM_OUTPUT: of `nm --defined-only --demangle -n`; absent: empty table)
"""
import re
import sys


def main() -> None:
    rows = []
    if len(sys.argv) == 3:
        with open(sys.argv[1], encoding="utf-8") as lines:
            for line in lines:
                match = re.match(r"([0-9a-f]{8}) [tTW] (.+)$", line)
                if match and not match[2].startswith(("fixup_table", "image_")):
                    name = re.sub(r"\(.*$", "", match[2].replace("(anonymous namespace)::", ""))
                    rows.append((int(match[1], 16), name.replace("undercroft::", "")))
    out = ['.section .symbol_table, "a"', ".balign 4"]
    out += [".globl symbol_table, symbol_table_end", "symbol_table:"]
    out += [f"  .long 0x{address:08x}, name_{i}" for i, (address, _) in enumerate(rows)]
    out += ["symbol_table_end:"]
    out += [f'name_{i}: .asciz "{name}"' for i, (_, name) in enumerate(rows)]
    out += ['.section .note.GNU-stack, "", @progbits', ""]
    with open(sys.argv[-1], "w", encoding="utf-8") as file:
        file.write("\n".join(out))


main()
