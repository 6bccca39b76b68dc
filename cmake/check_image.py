#!/usr/bin/env python3
"""Asserts what the linker script cannot: check_image.py IMAGE"""
import struct
import subprocess
import sys

IMAGE = sys.argv[1]
SECTIONS = {".boot", ".text", ".rodata", ".data", ".symbol_table", ".bss", ".reservation",
            ".init_array", ".symtab", ".strtab", ".shstrtab"}
RESERVED_END = 0x480000  # image_physical + window::cache_end


def fail(message: str) -> None:
    sys.exit(f"{IMAGE}: {message}")


def main() -> None:
    undefined = subprocess.run(["nm", "-u", IMAGE], check=True, capture_output=True, text=True)
    if undefined.stdout.strip():
        fail(f"undefined symbols:\n{undefined.stdout}")
    sections = subprocess.run(["readelf", "-SW", IMAGE], check=True, capture_output=True, text=True)
    for line in sections.stdout.splitlines():
        name = line[line.find("]") + 2:].split(" ")[0] if "]" in line else ""
        if name.startswith(".") and name not in SECTIONS and not name.startswith(".debug"):
            fail(f"unexpected section {name}")
    with open(IMAGE, "rb") as file:
        content = file.read()
    if struct.pack("<II", 0x1BADB002, 3) not in content[:8192]:
        fail("no multiboot header in the first 8 KB")
    if struct.pack("<II", 0xE85250D6, 0) not in content[:32768]:
        fail("no multiboot 2 header in the first 32 KB")
    offset, = struct.unpack_from("<I", content, 28)
    size, count = struct.unpack_from("<HH", content, 42)
    ends = []
    for i in range(count):
        kind, _, _, physical, _, memory = struct.unpack_from("<6I", content, offset + i * size)
        if kind == 1:
            ends.append(physical + memory)
    if max(ends) != RESERVED_END:
        fail(f"the segments end at {max(ends):#x}, not at {RESERVED_END:#x}")


main()
