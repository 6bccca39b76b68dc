"""What a QEMU machine shows on a linear framebuffer, read back as text by the monitor's own font."""

import pathlib
import re
import socket
import time

from conftest import ROOT

COLUMNS, ROWS, WIDTH, HEIGHT = 80, 25, 8, 16


def _font():
    """{the 16 bytes of a glyph: its character of code page 437}."""
    source = (ROOT / "build" / "font_data.cpp").read_text()
    rows = [bytes(int(byte, 16) for byte in re.findall(r"0x(..)", line))
            for line in source.splitlines() if line.startswith("    0x")]
    characters = bytes(range(256)).decode("cp437")
    return {rows[code]: characters[code] for code in range(254, 0, -1)}


def dump(monitor, target):
    """QEMU's screen into the file `target`, by its monitor at a Unix socket; returns its bytes."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(monitor))
        line.sendall(f"screendump {target}\n".encode())
        for _ in range(50):
            time.sleep(0.2)
            image = pathlib.Path(target)
            if image.exists() and len(image.read_bytes()) > 20:
                time.sleep(0.2)
                return image.read_bytes()
    raise AssertionError("QEMU wrote no screen")


def text_of(image):
    """The lines of the 80 by 25 cells in the middle of a PPM; characters that are not the font's
    are question marks. A cell's ground is
    its upper left pixel."""
    _, size, _, pixels = image.split(b"\n", 3)
    width, height = (int(word) for word in size.split())
    scale = max(1, min(width // (COLUMNS * WIDTH), height // (ROWS * HEIGHT)))
    left = (width - COLUMNS * WIDTH * scale) // 2
    top = (height - ROWS * HEIGHT * scale) // 2
    font = _font()

    def pixel(x, y):
        at = ((top + y * scale) * width + left + x * scale) * 3
        return pixels[at:at + 3]

    def character(column, row):
        cell = [[pixel(column * WIDTH + x, row * HEIGHT + y) for x in range(WIDTH)]
                for y in range(HEIGHT)]
        ground = cell[0][0]
        return font.get(bytes(sum((line[x] != ground) << 7 - x for x in range(WIDTH))
                              for line in cell), "?")
    return ["".join(character(column, row) for column in range(COLUMNS)).rstrip()
            for row in range(ROWS)]
