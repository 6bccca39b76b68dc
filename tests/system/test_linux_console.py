"""A shell in Debian's Linux on the virtio console: what is typed on the host's serial line goes there,
since nobody listens at COM1.
"""

import hashlib
import re
import sys
import time

import pytest

from conftest import PROMPT
from transcripts import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from croft import guests  # noqa: E402


@pytest.mark.hosted
def test_a_shell_on_the_virtio_console(croft):
    # Linux keeps COM1's receive interrupt enabled while that is one of its own consoles.
    line = guests.LINUX_COMMAND_LINE.replace("console=ttyS0", "console=tty0 croft.console=hvc0")
    shell = croft.shell("linux", "--with-modules", "--command-line", line, patience=400)
    try:
        output, status = shell.run("tty")
        assert (output.strip(), status) == ("/dev/hvc0", 0)
        words = " ".join(str(n * n) for n in range(40))
        output, _ = shell.run(f"echo {words} | md5sum")
        assert hashlib.md5(words.encode() + b"\n").hexdigest() in output
        shell.terminal.sendline("echo be''gun; sleep 1000")
        shell.terminal.expect("begun")  # the shell's own line editing takes ^C for a letter
        time.sleep(1)  # until the shell has handed the terminal to it
        shell.terminal.sendintr()
        shell.terminal.expect(PROMPT, timeout=60)
        output, _ = shell.run("cat /proc/interrupts")
        received = {name: int(count) for count, name in
                    re.findall(r":\s+(\d+) .* (\S+)$", output, re.MULTILINE)}
        assert received["virtio1"] > 100 and "ttyS0" not in received, output
        assert shell.leave()[0] == 0
    finally:
        shell.terminal.close(force=True)
