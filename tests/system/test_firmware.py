"""Boots by BIOS and by UEFI, 32 and 64 bits, all from the one image that `croft iso` writes: as a CD
and as what dd puts onto a USB stick."""

import subprocess

import pytest

import screen_text
import transcripts
from conftest import CROFT
from test_autopsy import kernel
from test_guests import FOLDER, PASSED, bare

UEFI = ["uefi32", "uefi64"]


@pytest.fixture(scope="module")
def hello_image(tmp_path_factory):
    target = tmp_path_factory.mktemp("image") / "hello.iso"
    subprocess.run([*CROFT, "iso", "--no-build", "--kernel", str(FOLDER / "hello.elf"),
                    "--memory", "64M", "-o", str(target)], check=True, capture_output=True)
    return target


def show(croft, *words):
    """QEMU's command for a run, as a list."""
    line = croft.command(["--show", *words])
    text = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    return text.split()


def command(croft, image, firmware, medium):
    words = show(croft, "--kernel", str(FOLDER / "hello.elf"), "--firmware", firmware)
    at = words.index("-cdrom")
    words[at:at + 2] = [word.replace("IMAGE", str(image)) for word in medium]
    return words


def boots(croft, image, firmware, medium):
    """Boots hello from `image` on the medium; its transcript is the bare machine's."""
    words = command(croft, image, firmware, medium)
    result = subprocess.run(words, capture_output=True, text=True, timeout=240, errors="replace",
                            stdin=subprocess.DEVNULL, check=False)
    text = result.stdout
    transcripts.assert_equal(bare("hello")[1], transcripts.lines_of(text), "firmware", text)
    assert result.returncode == PASSED, text


CD = ["-cdrom", "IMAGE"]
STICK = ["-device", "qemu-xhci", "-drive", "if=none,id=stick,format=raw,snapshot=on,file=IMAGE",
         "-device", "usb-storage,drive=stick,bootindex=0"]


@pytest.mark.hosted
@pytest.mark.parametrize("firmware, medium", [
    pytest.param("uefi64", STICK, id="uefi64-stick"),
    pytest.param("bios", STICK, id="bios-stick", marks=pytest.mark.long),
    pytest.param("bios", CD, id="bios-cd", marks=pytest.mark.long),
    pytest.param("uefi32", STICK, id="uefi32-stick", marks=pytest.mark.long),
    pytest.param("uefi32", CD, id="uefi32-cd", marks=pytest.mark.long),
    pytest.param("uefi64", CD, id="uefi64-cd", marks=pytest.mark.long)])
def test_one_image_boots_by_every_firmware(croft, hello_image, firmware, medium):
    boots(croft, hello_image, firmware, medium)


# Writes "Undercroft's guest" to the VGA's text memory, in the second line, and halts for ever.
TEXT = b"Undercroft's guest"
WRITE_TEXT = b"\xbf" + (0xb80a0).to_bytes(4, "little") + b"".join(
    b"\x66\xb8" + bytes([c, 0x1e]) + b"\x66\xab" for c in TEXT) + b"\xfa\xf4"


def screen_of(line, tmp_path, until):
    """The lines of text that qemu_screen has."""
    return screen_text.text_of(qemu_screen(line, tmp_path, until))


def qemu_screen(line, tmp_path, until):
    """What is shown once `until` has come over the serial line, of a machine that does not end."""
    line = list(line)
    at = line.index("-device")  # isa-debug-exit
    del line[at:at + 2]
    at = line.index("-mon")
    line[at:at + 2] = ["-monitor", f"unix:{tmp_path}/qemu,server,nowait"]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        try:
            for output in machine.stdout:
                if until in output:
                    break
            return screen_text.dump(tmp_path / "qemu", tmp_path / "screen")
        finally:
            machine.kill()


@pytest.mark.hosted
def test_the_guests_text_is_shown_without_text_mode(croft, tmp_path):
    (tmp_path / "kernel").write_bytes(kernel(WRITE_TEXT))
    line = show(croft, "--kernel", str(tmp_path / "kernel"), "--framebuffer", "1024x768x32")
    shown = screen_of(line, tmp_path, b"halted for ever")
    assert shown[1] == TEXT.decode(), "\n".join(shown)


@pytest.mark.hosted
@pytest.mark.parametrize("words, size", [
    (["--framebuffer", "1024x768x32"], None),
    (["--framebuffer", "800x600x16"], None),
    pytest.param(["--firmware", "uefi32"], None, marks=pytest.mark.long),
    pytest.param(["--firmware", "uefi64"], "xres=1280,yres=1024", marks=pytest.mark.long)])
def test_messages_are_readable_without_text_mode(croft, tmp_path, words, size):
    (tmp_path / "kernel").write_text("no kernel")
    line = show(croft, "--kernel", str(tmp_path / "kernel"), *words)
    line += ["-vga", "none", "-device", f"VGA,edid=on,{size}"] if size else []
    shown = screen_of(line, tmp_path, b"undercroft: guest:")
    text = "\n".join(shown)
    assert any(line.startswith("host: processor ") for line in shown), text
    assert any(line.startswith("undercroft: guest: ") for line in shown), text


@pytest.mark.hosted
@pytest.mark.long
@pytest.mark.parametrize("firmware", UEFI)
def test_linux_to_its_shell_by_uefi(croft, firmware):
    result = croft.execute("cat /proc/meminfo; echo reached the end", "--firmware", firmware,
                           timeout=600)
    assert result.returncode == 0, result.stderr
    assert "reached the end" in result.stdout
