#!/usr/bin/python3
"""bios_rom.py ROM.elf TARGET.cpp: makes data out of the guest's BIOS, which gcc -m16 has linked.

Each section is a run of bytes at its offset in the segment; a symbol vector_NN (hexadecimal) is where
interrupt NN goes. guest_loader/firmware/bios_code.hpp declares what the target defines.
"""

import pathlib
import struct
import sys

PROGBITS, SYMTAB, ALLOCATED = 1, 2, 2


def name_at(strings, offset):
    return strings[offset:strings.index(b"\0", offset)].decode()


def read_elf(data):
    """([(address, bytes)], {symbol: address}) of a 32-bit file."""
    table, = struct.unpack_from("<I", data, 32)
    size, count, _ = struct.unpack_from("<HHH", data, 46)
    headers = [struct.unpack_from("<10I", data, table + i * size) for i in range(count)]
    runs, symbols = [], {}
    for _, kind, flags, address, offset, length, link, *_ in headers:
        if kind == PROGBITS and flags & ALLOCATED and length:
            runs.append((address, data[offset:offset + length]))
        if kind == SYMTAB:
            strings = data[headers[link][4]:headers[link][4] + headers[link][5]]
            for name, value, *_ in struct.iter_unpack("<IIIBBH", data[offset:offset + length]):
                symbols[name_at(strings, name)] = value
    return sorted(runs), symbols


def lines_of(contents):
    for start in range(0, len(contents), 16):
        yield "    " + ", ".join(f"0x{byte:02x}" for byte in contents[start:start + 16]) + ",\n"


def main(source, target):
    runs, symbols = read_elf(pathlib.Path(source).read_bytes())
    text = ["// Made by cmake/bios_rom.py.\n#include \"guest_loader/firmware/bios_code.hpp\"\n\n"
            "namespace undercroft::bios_code {\nnamespace {\n\n"]
    for address, contents in runs:
        text.append(f"constexpr std::uint8_t at_{address:04x}[] = {{\n")
        text += lines_of(contents)
        text.append("};\n")
    text.append("constexpr Routine all_routines[] = {\n")
    text += [f"    {{0x{address:04x}, at_{address:04x}}},\n" for address, _ in runs]
    text.append("};\nconstexpr Vector all_vectors[] = {\n")
    for name in sorted(symbols):
        if name.startswith("vector_"):
            text.append(f"    {{0x{name[7:]}, 0x{symbols[name]:04x}}},\n")
    text.append("};\n")
    for name in ("facts", "power_on", "boot_disk", "video", "nothing", "diskette_parameters"):
        text.append(f"static_assert({name} == 0x{symbols[name]:04x});\n")
    text.append("\n}  // namespace\n\nstd::span<const Routine> routines() { return all_routines; }\n\n"
                "std::span<const Vector> vectors() { return all_vectors; }\n\n"
                "}  // namespace undercroft::bios_code\n")
    pathlib.Path(target).write_text("".join(text))


if __name__ == "__main__":
    main(*sys.argv[1:])
