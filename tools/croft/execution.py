"""`--exec`: how a command gets into the Linux guest, and its output and status out of it.

In: the kernel parameter croft.exec=BASE64, which init.sh reads. Out: the serial line, on which
init.sh marks the beginning and the end by lines that start with the byte 0x1e.
"""

import base64
import re

from .errors import CroftError

LONGEST_COMMAND_LINE = 2047  # COMMAND_LINE_SIZE of x86 Linux, less its final zero
MARK = b"\x1e"
BEGIN = re.compile(rb"\x1ecroft exec begin\r?\n")
END = re.compile(rb"\x1ecroft exec status (\d+)\r?\n")
LONGEST_MARK = 40


def command_line(base, command):
    """The kernel command line that runs `command`."""
    line = base + " croft.exec=" + base64.b64encode(command.encode()).decode()
    if len(line) > LONGEST_COMMAND_LINE:
        raise CroftError(f"the command is too long by {len(line) - LONGEST_COMMAND_LINE} bytes "
                         "for Linux' command line (as base64)")
    return line


class Watcher:
    """Splits the serial line's bytes: before the mark, the command's output, its status."""

    def __init__(self, output, noise):
        self.begun = False
        self.status = None
        self._output = output
        self._noise = noise
        self._pending = b""
        self._tail = b""

    def feed(self, data):
        self._tail = (self._tail + data)[-8192:]
        if self.status is not None:
            self._chatter(data)
            return
        self._pending += data
        if not self.begun:
            found = BEGIN.search(self._pending)
            if not found:
                self._chatter(self._take(len(self._pending) - LONGEST_MARK))
                return
            self._chatter(self._pending[:found.start()])
            self._pending = self._pending[found.end():]
            self.begun = True
        found = END.search(self._pending)
        if found:
            self._write(self._pending[:found.start()])
            self.status = int(found.group(1))
            self._chatter(self._pending[found.end():])
            self._pending = b""
            return
        self._write(self._take(self._safe_length()))

    def _safe_length(self):
        """How much of the pending bytes cannot be the start of the end mark."""
        mark = self._pending.rfind(MARK, max(0, len(self._pending) - LONGEST_MARK))
        return len(self._pending) if mark < 0 else mark

    def _take(self, length):
        piece = self._pending[:max(0, length)]
        self._pending = self._pending[len(piece):]
        return piece

    def _write(self, data):
        self._output.write(data)
        self._output.flush()

    def _chatter(self, data):
        if self._noise and data:
            self._noise.write(data)
            self._noise.flush()

    def last_line(self):
        """The last whole line that is text, for a progress display."""
        text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[^ -~\n]", "", self._tail.decode("ascii", "ignore"))
        lines = text.split("\n")
        return next((line.strip() for line in reversed(lines[:-1]) if line.strip()), "")

    def last_lines(self):
        return b"\n".join(self._tail.split(b"\n")[-40:]) + b"\n"
