"""croft's own parts, without a machine: archives, marks on the serial line, GRUB's quoting, lists."""

import argparse
import io
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from croft import (cli, cpio, errors, execution, guests, image, lint, machine, packages, run,  # noqa: E402
                   run_options)


def cpio_entries(data):
    """Reads a newc archive back: {name: (mode, content, (major, minor))}."""
    entries, at = {}, 0
    while True:
        assert data[at:at + 6] == b"070701" and at % 4 == 0
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name_at = at + 110
        name = data[name_at:name_at + fields[11] - 1].decode()
        body = (name_at + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return entries
        entries[name] = (fields[1], data[body:body + fields[6]], (fields[9], fields[10]))
        at = (body + fields[6] + 3) // 4 * 4


def test_archive_reads_back():
    archive = cpio.Archive()
    archive.folder("dev")
    archive.character_device("dev/console", 5, 1)
    archive.file("init", b"12345", 0o755)
    assert cpio_entries(archive.data()) == {
        "dev": (0o40755, b"", (0, 0)),
        "dev/console": (0o20600, b"", (5, 1)),
        "init": (0o100755, b"12345", (0, 0)),
    }


def watch(pieces):
    output = io.BytesIO()
    watcher = execution.Watcher(output, None)
    for piece in pieces:
        watcher.feed(piece)
    return output.getvalue(), watcher.status


SERIAL = (b"[ 0.1] kernel\r\nnoise\n\x1ecroft exec begin\none\x1etwo\nthree"
          b"\x1ecroft exec status 42\nreboot: down\n")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 29, 1000])
def test_command_output_is_found_in_whatever_pieces_it_comes(size):
    pieces = [SERIAL[at:at + size] for at in range(0, len(SERIAL), size)]
    assert watch(pieces) == (b"one\x1etwo\nthree", 42)


def test_output_is_passed_on_while_the_command_runs():
    assert watch([b"\x1ecroft exec begin\nhalf a line"]) == (b"half a line", None)


def test_last_line_is_text_without_escapes():
    watcher = execution.Watcher(io.BytesIO(), None)
    watcher.feed(b"old\n\x1b[H\x1b[2J\x07 new\r\n\nunfinished")
    assert watcher.last_line() == "new"


def test_too_long_command_is_refused():
    with pytest.raises(errors.CroftError, match="too long by"):
        execution.command_line("console=ttyS0", "x" * 2000)


@pytest.mark.parametrize("word, quoted", [
    ("console=ttyS0,115200", "console=ttyS0,115200"), ("a$b", "'a$b'"),
    ("it's", "'it'\\''s'"), ("a;b", "'a;b'"), ("{", "'{'"), ("", "''"), ("ä", "'ä'"),
])
def test_grub_quoting(word, quoted):
    assert image.quote(word) == quoted


def test_hosted_menu_entry():
    guest = guests.Prepared("linux", pathlib.Path("k"), "a=1 b",
                            (guests.Module(pathlib.Path("m"), "x y"),))
    assert image.hosted_entry("mem=64M", guest).split("\n") == [
        "  multiboot2 /boot/undercroft.elf mem=64M",
        "  module2 --nounzip /boot/kernel a=1 b",
        "  module2 --nounzip /boot/module0 x y", *image.TEXT_ON_BIOS.split("\n")]
    assert "gfxpayload=text" not in image.hosted_entry("", guest, "1024x768x32")


def test_commas_are_doubled_for_qemu():
    guest = guests.Prepared("linux", pathlib.Path("k"), "console=ttyS0,9600",
                            (guests.Module(pathlib.Path("m")),))
    words = machine.boot_kernel(guest, False, "mem=64M")
    assert words[words.index("-initrd") + 1] == "k console=ttyS0,,9600,m"


@pytest.mark.parametrize("status, wanted", [
    (0, 0), (0x21, 0), (0x23, 101), (0x25, 102), (0x27, 103), (0x29, 104), (0x2B, 105),
    (1, 1), (2, 1), (-9, 1), (0x41, 0x20),
])
def test_exit_statuses(status, wanted):
    assert machine.outcome(status)[0] == wanted


@pytest.mark.parametrize("text, size", [("64", 64), ("256M", 256), ("2G", 2048), ("1g", 1024)])
def test_sizes(text, size):
    assert run_options.megabytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "12K", "x", "-3"])
def test_bad_sizes(text):
    with pytest.raises(argparse.ArgumentTypeError):
        run_options.megabytes(text)


@pytest.mark.parametrize("guest, total", [(64, 512), (384, 512), (2048, 3072)])
def test_machine_memory(guest, total):
    assert run.machine_memory(guest) == total


@pytest.mark.parametrize("head, form", [
    (bytes(0x202) + b"HdrS", "linux"),
    (bytes(64) + bytes.fromhex("02b0ad1b 00000000 fe4f52e4") + bytes(16), "multiboot"),
    (bytes(64) + bytes.fromhex("d65052e8 00000000 10000000 1aafad17") + bytes(16), "multiboot2"),
    (b"\x7fELF" + bytes(60), "elf"),
    (b"text", "unknown"),
], ids=["linux", "multiboot", "multiboot2", "elf", "unknown"])
def test_kernel_forms(tmp_path, head, form):
    kernel = tmp_path / "kernel"
    kernel.write_bytes(head)
    assert guests.form_of(kernel) == form


def test_every_package_says_what_it_is_for():
    wanted = packages.listed(("build", "run", "test", "test-all"))
    assert len(wanted) > 10
    assert all(wanted.values())


def test_without_root_the_command_is_told(monkeypatch):
    monkeypatch.setattr(packages, "missing", lambda wanted: ["xorriso", "mtools"])
    monkeypatch.setattr(packages, "_privilege", lambda: None)
    with pytest.raises(errors.CroftError) as error:
        packages.require("run")
    assert "sudo apt-get install -y --no-install-recommends xorriso mtools" in error.value.hint


def test_missing_package_is_noticed():
    assert packages.missing(["dpkg", "no-such-package-of-undercroft"]) == [
        "no-such-package-of-undercroft"]


def test_reading_order_notation():
    assert lint.named("see `a/b.{hpp,cpp}` and `c.S`, not `word`") == {"a/b.hpp", "a/b.cpp", "c.S"}


def test_reading_order_misses_nothing_silently(tmp_path, monkeypatch):
    order = tmp_path / "order.md"
    order.write_text("`croft` `gone/file.cpp`")
    monkeypatch.setattr(lint, "READING_ORDER", order)
    faults = lint.reading_order_faults()
    assert "docs/reading-order.md does not name CMakeLists.txt" in faults
    assert "docs/reading-order.md names gone/file.cpp, which is not there" in faults
    assert "docs/reading-order.md does not name croft" not in faults


def test_help_needs_nothing_but_python():
    for python in {shutil.which("python3"), "/usr/bin/python3"}:
        answer = subprocess.run([python, "-I", str(ROOT / "croft"), "run", "--help"],
                                capture_output=True, text=True, check=False)
        assert answer.returncode == 0
        assert "exit status" in answer.stdout
