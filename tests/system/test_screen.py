"""What a person at the machine sees and types: the guest's text on the host's screen, keys and the
mouse's movements from the host's devices to the guest, and the monitor's report in the end.
"""

import contextlib
import re
import subprocess
import sys
import time

import pytest

from test_autopsy import kernel, little
from test_guests import IMAGE, MACHINE
from transcripts import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from croft import guests, image, machine, screenshot  # noqa: E402

PATIENCE = 120


def machine_of(tmp_path, guest, bare, name):
    boot = machine.boot_iso(image.cached(guest, bare, "mem=128M"))
    return machine.Setup(boot, 384, False, tmp_path / f"{name}.log")


def raw_setup(tmp_path, code, options=""):
    """A kernel of a few bytes under Undercroft."""
    file = tmp_path / "kernel"
    file.write_bytes(kernel(code))
    boot = ["-kernel", str(IMAGE), "-append", f"mem=64M {options}".strip(), "-initrd", str(file)]
    return machine.Setup(boot, 256, False, tmp_path / "raw.log")


def pixels(screen, place):
    """Width, height and the colours of all pixels."""
    screen.qmp.execute("screendump", filename=str(place))
    kind, size, depth, colours = place.read_bytes().split(b"\n", 3)
    assert kind == b"P6" and depth == b"255"
    return size, colours


def linux_screen(tmp_path, bare):
    """Linux on its own screen, where somebody types on the keyboard: pixels of the end."""
    guest = guests.find("linux").prepare()
    guest = guests.dataclasses.replace(guest, command_line=f"{guest.command_line} console=tty0")
    name = "bare" if bare else "hosted"
    with screenshot.Screen(machine_of(tmp_path, guest, bare, name)) as screen:
        screen.wait_for("undercroft#", PATIENCE)
        # Cleared, without the cursor, whose blinking would differ. One line: what is typed ahead
        # would be seen twice.
        screen.press("printf spc '\\033c\\033[?25l';uname spc -sm;echo spc $((6*7))@ ret")
        screen.wait_for("42@", PATIENCE)
        time.sleep(1)
        return pixels(screen, tmp_path / name), screen.text_memory()


@pytest.mark.hosted
def test_linux_looks_the_same_as_on_the_bare_machine(tmp_path):
    seen, memory = linux_screen(tmp_path, bare=True)
    expected = b"Linux i686"
    assert expected in memory[::2]
    shown, memory = linux_screen(tmp_path, bare=False)
    assert expected in memory[::2]
    assert shown == seen


def mode_screen(tmp_path, mode, bare):
    """The test kernel that stays in a mode."""
    file = ROOT / "build" / "guests" / "vga_modes.elf"
    if bare:
        boot = ["-kernel", str(file), "-append", mode]
    else:
        boot = ["-kernel", str(IMAGE), "-append", "mem=64M", "-initrd", f"{file} {mode}"]
    name = "bare" if bare else "hosted"
    with screenshot.Screen(machine.Setup(boot, 256, False, tmp_path / f"{name}.log")) as screen:
        deadline = time.monotonic() + PATIENCE
        while not screen.qmp.halted():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(1)
        return pixels(screen, tmp_path / name)


@pytest.mark.hosted
@pytest.mark.parametrize("mode, size", [("text", b"720 400"), ("planes", b"640 480"),
                                        ("bytes", b"640 400")])
def test_modes_look_the_same_as_on_the_bare_machine(tmp_path, mode, size):
    seen = mode_screen(tmp_path, mode, bare=True)
    assert seen[0] == size and len(set(seen[1])) > 2
    assert mode_screen(tmp_path, mode, bare=False) == seen


# Writes "Hi" in white on blue and stops itself by a triple fault, when a key has been pressed.
TEXT_AND_FAULT = b"".join([
    b"\xc7\x05" + little(0xB8000) + little(0x1F691F48),  # mov dword [b8000], "Hi"
    b"\xe4\x64\xa8\x01\x74\xfa",                         # in al, 64; test al, 1; jz in
    b"\x0f\x01\x1d" + little(0x101000),                  # lidt: limit 0
    b"\xcc",                                             # int3
])


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_the_last_report_takes_the_screen_back(tmp_path, options):
    with screenshot.Screen(raw_setup(tmp_path, TEXT_AND_FAULT, options)) as screen:
        screen.wait_for("H", PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while not screen.text_memory().startswith(b"H\x1fi\x1f \x07 \x07"):
            assert time.monotonic() < deadline, screen.text_memory()[:160]
            time.sleep(0.2)
        screen.press("a")
        screen.wait_for("0x0010:0x00100037", PATIENCE)  # the last instruction, end of the report
        time.sleep(1)
        assert b"0x0010:0x00100037" in screen.text_memory()[:4000:2]
        assert b"H\x1fi\x1f" not in screen.text_memory()[:4000]


# Waits for a byte of the keyboard by polling and gives it to isa-debug-exit.
POLL_KEYBOARD = b"\xe4\x64\xa8\x01\x74\xfa\xe4\x60\xe6\xf4"
# Has the mouse report, and gives the counts to the right of the first packet to isa-debug-exit.
POLL_MOUSE = b"".join([
    b"\xb0\xd4\xe6\x64\xb0\xf4\xe6\x60",  # enable
    b"\xb9\x03\x00\x00\x00",              # mov ecx, 3: acknowledge, buttons, right
    b"\xe4\x64\xa8\x01\x74\xfa",          # in al, 64; test al, 1; jz in
    b"\xe4\x60\xe2\xf6",                  # in al, 60; loop
    b"\xe6\xf4",                          # out exit, al
])


# Writes the bytes to the keyboard, and waits for the reply to each.
def tell_keyboard(*values):
    return b"".join(b"\xb0" + bytes([value]) + b"\xe6\x60"   # out 60, value
                    + b"\xe4\x64\xa8\x01\x74\xfa\xe4\x60"  # in al, 64; test al, 1; jz in; in al, 60
                    for value in values)


@contextlib.contextmanager
def polling(tmp_path, code, options, *words):
    """The kernel once it runs, with a QMP socket beside its serial line."""
    file = tmp_path / "kernel"
    file.write_bytes(kernel(code))
    socket = tmp_path / "qmp"
    command = [*MACHINE, "-m", "256", "-kernel", str(IMAGE), "-append",
               f"mem=64M {options}".strip(), "-initrd", str(file),
               "-qmp", f"unix:{socket},server=on,wait=off", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        try:
            for text in process.stdout:
                if b"undercroft: guest:" in text:
                    break
            yield process, socket
        finally:
            process.kill()


@pytest.mark.hosted
def test_a_key_of_the_host_reaches_the_guest(tmp_path):
    with polling(tmp_path, POLL_KEYBOARD, "") as (process, socket):
        screenshot.qmp.Connection(socket).press(["b"])
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0x30 * 2 + 1


@pytest.mark.hosted
def test_the_serial_line_as_a_keyboard(tmp_path):
    with polling(tmp_path, POLL_KEYBOARD, "keyboard=serial") as (process, _):
        process.stdin.write(b"c")
        process.stdin.flush()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0x2E * 2 + 1


@pytest.mark.hosted
def test_the_guests_lights_are_shown_on_the_hosts_keyboard(tmp_path):
    """And the replies of the host's keyboard to that are none that the guest sees."""
    log = tmp_path / "trace"
    with polling(tmp_path, tell_keyboard(0xED, 6) + POLL_KEYBOARD, "",
                 "-trace", "ps2_write_keyboard", "-D", str(log)) as (process, socket):
        deadline = time.monotonic() + PATIENCE
        written = []
        while written[-2:] != [0xED, 6]:
            assert time.monotonic() < deadline, written
            time.sleep(0.2)
            written = [int(value) for value in re.findall(r"ps2_write_keyboard .* val (\d+)",
                                                          log.read_text())]
        screenshot.qmp.Connection(socket).press(["b"])
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0x30 * 2 + 1


@pytest.mark.hosted
def test_the_hosts_mouse_moves_the_guests(tmp_path):
    with polling(tmp_path, POLL_MOUSE, "") as (process, socket):
        connection = screenshot.qmp.Connection(socket)
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(screenshot.CroftError):  # the machine ends meanwhile
            while process.poll() is None and time.monotonic() < deadline:
                connection.move_mouse(5, 0)
                time.sleep(0.5)
        process.communicate(timeout=PATIENCE)
    right = process.returncode >> 1
    assert process.returncode & 1 and right > 0 and right % 5 == 0, process.returncode


def ship(screen):
    """The column of the ship of grub-invaders, and whether a shot flies."""
    rows = screen.text_memory()[:4000:2]
    return rows[24 * 80:].index(b"/"), b"|" in rows[10 * 80:23 * 80]


def press_until(screen, key, reached):
    """The game takes one byte of the keyboard in each of its rounds: some presses may be needed."""
    deadline = time.monotonic() + PATIENCE
    while not reached(*ship(screen)):
        assert time.monotonic() < deadline, (key, ship(screen))
        screen.press(key)


@pytest.mark.hosted
def test_invaders_is_played_by_keyboard(tmp_path, croft):
    assert croft.fetch("grub-invaders") == 0
    game = guests.find("grub-invaders").prepare()
    boot = machine.boot_kernel(game, False, "mem=64M")[:-len(machine.DETERMINISTIC)]
    with screenshot.Screen(machine.Setup(boot, 256, False, tmp_path / "game.log")) as screen:
        screen.wait_for("-*-", PATIENCE)
        start, shot = ship(screen)
        assert not shot
        press_until(screen, "left:0.7", lambda place, _: place < start - 1)
        time.sleep(2)
        left = ship(screen)[0]
        press_until(screen, "right:0.7", lambda place, _: place > left + 1)
        press_until(screen, "spc", lambda _, flies: flies)
