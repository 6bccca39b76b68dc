#!/usr/bin/python3
"""font.py FONT.pf2 TARGET.cpp: makes the 256 characters of code page 437, 8 by 16, out of a GRUB font.

The glyphs are GNU Unifont's (SIL Open Font License 1.1, or GPL 2+ with the font embedding
exception), which Debian's grub-common carries as unicode.pf2. A PF2 file is sections of a name, a
length and contents; CHIX maps code points to glyphs: width, height, x and y offset, advance, and the
bits of the rows without gaps.
"""

import pathlib
import struct
import sys

WIDTH, HEIGHT = 8, 16
BASELINE = 14  # rows above it

# What the first 32 and the one at 127 show; Python decodes them as controls.
SYMBOLS = "\0☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"


def code_points():
    table = [ord(c) for c in bytes(range(256)).decode("cp437")]
    table[:32] = [ord(c) for c in SYMBOLS]
    table[127] = ord("⌂")
    return table


def glyph_places(data):
    """{code point: offset of its glyph}."""
    at = 0
    while at + 8 <= len(data):
        name, length = data[at:at + 4], struct.unpack_from(">I", data, at + 4)[0]
        if name == b"CHIX":
            entries = struct.iter_unpack(">IBI", data[at + 8:at + 8 + length])
            return {point: place for point, _, place in entries}
        at += 8 + length
    raise SystemExit("font.py: no character index")


def rows_of(data, place):
    """The glyph's 16 bytes, the leftmost pixel in bit 7."""
    width, height, left, bottom = struct.unpack_from(">HHhh", data, place)
    rows = [0] * HEIGHT
    for y in range(height):
        for x in range(width):
            bit = y * width + x
            row, column = BASELINE - bottom - height + y, left + x
            lit = data[place + 10 + bit // 8] >> (7 - bit % 8) & 1
            if lit and 0 <= row < HEIGHT and 0 <= column < WIDTH:
                rows[row] |= 0x80 >> column
    return rows


def main(source, target):
    data = pathlib.Path(source).read_bytes()
    places = glyph_places(data)
    lines = []
    for point in code_points():
        rows = rows_of(data, places[point]) if point and point in places else [0] * HEIGHT
        lines.append("    " + ", ".join(f"0x{row:02x}" for row in rows) + ",\n")
    pathlib.Path(target).write_text(
        f"// Made by cmake/font.py.\n#include \"monitor/display/font.hpp\"\n\n"
        "namespace undercroft {\n\nconstinit const std::array<std::uint8_t, 4096> built_in_font{\n"
        + "".join(lines) + "};\n\n}  // namespace undercroft\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
