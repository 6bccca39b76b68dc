"""The host's linear framebuffer: handed on to a guest that asks for it, and with the picture of the
guest's VGA for one that does not."""

import pytest

from loader_images import header1
from test_autopsy import BASE, ENTRY
from test_firmware import qemu_screen, show
from test_guests import FOLDER
from test_screen import mode_screen

WIDTH, HEIGHT = 1024, 768
LINEAR, TEXT = 1, 2  # framebuffer_type
VIDEO_AND_ADDRESSES = 1 << 16 | 1 << 2


def kernel(code):
    """A multiboot 1 image that asks for a linear framebuffer, and runs `code`."""
    header = header1(VIDEO_AND_ADDRESSES, (BASE, BASE, 0, 0, ENTRY + 16, 0, WIDTH, HEIGHT, 32))
    return header + code + bytes(0x2000 - len(header) - len(code))


def say(text):
    """Code that writes `text` to the serial line."""
    return b"\x66\xba\xf8\x03" + b"".join(bytes([0xB0, c, 0xEE]) for c in text.encode())


# Fills all of it with one colour.
PAINT = (b"\x8b\x7b\x58"          # mov edi, framebuffer_addr
         b"\x8b\x43\x60"          # mov eax, framebuffer_pitch
         b"\xf7\x63\x68"          # mul framebuffer_height
         b"\xc1\xe8\x02\x89\xc1"  # shr eax, 2; mov ecx, eax
         b"\xb8\x99\x66\x33\x00"  # mov eax, colour
         b"\xf3\xab" + say("painted\n") + b"\xfa\xf4")
# Gives framebuffer_type to isa-debug-exit.
TELL_TYPE = b"\x8a\x43\x6d\xe6\xf4\xfa\xf4"


@pytest.mark.parametrize("engine", ["translate", pytest.param("interpret", marks=pytest.mark.long)])
def test_a_guest_paints_the_hosts_framebuffer(croft, bare, tmp_path, engine):
    (tmp_path / "kernel").write_bytes(kernel(PAINT))
    words = [] if bare else ["--monitor", f"engine={engine} check=frames"]
    line = show(croft, "--kernel", str(tmp_path / "kernel"), "--framebuffer",
                f"{WIDTH}x{HEIGHT}x32", *words)
    image = qemu_screen(line, tmp_path, b"painted")
    _, size, _, pixels = image.split(b"\n", 3)
    assert size == f"{WIDTH} {HEIGHT}".encode()
    assert pixels == b"\x33\x66\x99" * (WIDTH * HEIGHT)


@pytest.mark.hosted
@pytest.mark.parametrize("words, kind", [
    (["--framebuffer", "800x600x32"], LINEAR),
    (["--framebuffer", "800x600x32", "--monitor", "framebuffer=off"], TEXT),
    ([], TEXT)], ids=["auto", "off", "none"])
def test_what_the_guest_is_told(croft, tmp_path, words, kind):
    (tmp_path / "kernel").write_bytes(kernel(TELL_TYPE))
    terminal = croft.start("--kernel", str(tmp_path / "kernel"), "--timeout", "120", *words)
    text = terminal.read()
    terminal.close()
    assert terminal.exitstatus == kind, text
    given = "the host's framebuffer" if kind == LINEAR else "VGA text"
    assert f"screen {given}" in text


@pytest.mark.hosted
@pytest.mark.long
def test_linux_draws_its_console_on_it(croft):
    result = croft.execute("cat /proc/fb; dmesg | grep -i console", "--framebuffer", "1024x768x32",
                           "--append", "console=tty0 console=ttyS0", timeout=600)
    assert result.returncode == 0, result.stderr
    assert "colour frame buffer device 128x48" in result.stdout


def middle(image, width, height):
    """The dots in the middle of a PPM, as many as the size says, row by row."""
    _, size, _, pixels = image.split(b"\n", 3)
    whole, lines = (int(word) for word in size.split())
    left, top = (whole - width) // 2, (lines - height) // 2
    rows = (pixels[(y * whole + left) * 3:][:width * 3] for y in range(top, top + height))
    return b"".join(rows), pixels


@pytest.mark.hosted
@pytest.mark.parametrize("mode", ["planes", "bytes"])
def test_graphics_modes_are_the_bare_machines_dot_for_dot(croft, tmp_path, mode):
    size, expected = mode_screen(tmp_path, mode, bare=True)
    width, height = (int(word) for word in size.split())
    line = show(croft, "--kernel", str(FOLDER / "vga_modes.elf"), "--command-line", mode,
                "--framebuffer", f"{WIDTH}x{HEIGHT}x32")
    shown, pixels = middle(qemu_screen(line, tmp_path, b"halted for ever"), width, height)
    # Six bits of a colour become eight in two ways.
    assert len(shown) == len(expected)
    assert max(abs(a - b) for a, b in zip(shown, expected)) <= 3
    assert sum(map(bool, pixels)) == sum(map(bool, shown)), "something is drawn around it"
