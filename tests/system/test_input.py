"""Input from the host's serial line to a guest that never leaves the processor to the monitor."""

import subprocess

import pytest

from test_autopsy import kernel
from test_guests import IMAGE, MACHINE

# Waits for a byte on COM1 by polling and gives it to isa-debug-exit.
POLL = b"".join([
    b"\x66\xba\xfd\x03",      # mov dx, line status
    b"\xec\xa8\x01\x74\xfb",  # in al, dx; test al, 1; jz in
    b"\x66\xba\xf8\x03",      # mov dx, data
    b"\xec\xe6\xf4",          # in al, dx; out exit, al
])


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_a_polling_guest_gets_serial_input(tmp_path, options):
    image = tmp_path / "image"
    image.write_bytes(kernel(POLL))
    command = [*MACHINE, "-m", "256", "-kernel", str(IMAGE), "-append", f"mem=64M {options}",
               "-initrd", str(image)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as machine:
        try:
            for text in machine.stdout:
                if b"undercroft: guest:" in text:  # before, the line is not yet open
                    break
            machine.stdin.write(b"A")
            machine.stdin.flush()
            machine.communicate(timeout=60)
        finally:
            machine.kill()
    assert machine.returncode == ord("A") * 2 + 1
