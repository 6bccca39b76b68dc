"""The guest is deprivileged: QEMU's own log of exceptions has none at CPL 0 outside the monitor."""

import collections
import os
import re
import threading

import pytest

WINDOW = 0xFF000000  # forced, so that the monitor's addresses are known
EVENT = re.compile(r"^\s*\d+: v=([0-9a-f]{2}) e=\S+ i=\d cpl=(\d) IP=\S+ pc=([0-9a-f]+)")


class Log:
    """Reads `-d int` from a FIFO while QEMU writes it: it is too long to keep."""

    def __init__(self, folder):
        self.path = folder / "int.log"
        os.mkfifo(self.path)
        self.slots = collections.Counter()  # 4 MB slots of CPL 0 events, from the first at CPL 3 on
        self.deprivileged = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        with self.path.open(errors="replace") as lines:
            for line in lines:
                event = EVENT.match(line)
                if not event:
                    continue
                if event.group(2) == "3":
                    self.deprivileged += 1
                elif self.deprivileged:
                    self.slots[int(event.group(3), 16) >> 22] += 1

    def finish(self):
        self._thread.join(30)
        assert not self._thread.is_alive()


def check(log, events):
    """All ring 0 events lie in the window; the guest's are at ring 3."""
    log.finish()
    assert log.deprivileged > events
    assert set(log.slots) <= {WINDOW >> 22}, {hex(s << 22): n for s, n in log.slots.items()}


@pytest.mark.hosted
@pytest.mark.parametrize("name", ["interrupts", "paging"])
def test_no_exception_of_a_test_kernel_at_ring_0(croft, tmp_path, name):
    log = Log(tmp_path)
    terminal = croft.start(name, "--timeout", "200", "--monitor", f"window={WINDOW:#x}",
                           "--qemu", f"-d int -D {log.path}")
    text = terminal.read()
    terminal.close()
    assert f"{name}: passed" in text
    check(log, 50)


@pytest.mark.hosted
@pytest.mark.long
def test_no_exception_of_linux_at_ring_0(croft, tmp_path):
    log = Log(tmp_path)
    result = croft.execute("uname -a", "--monitor", f"window={WINDOW:#x}",
                           "--qemu", f"-d int -D {log.path}", timeout=1200)
    assert result.returncode == 0, result.stderr
    check(log, 10000)
