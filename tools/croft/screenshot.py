"""`--screenshot`: runs the machine until its screen is quiet, presses keys, and saves the screen.

The machine has no debug exit meanwhile: a guest that ends stays on the screen, as on a PC.
"""

import collections
import dataclasses
import hashlib
import pathlib
import subprocess
import tempfile
import time

from . import progress, qmp
from .errors import CroftError

TEXT_MEMORY, TEXT_BYTES = 0xB8000, 0x8000
PAUSE = 0.4  # seconds between two looks
QUIET_LOOKS = 8  # of a machine that is idle
BUSY_LOOKS = 60  # of one whose processor goes on: it may be loading or unpacking something
PATIENCE = 120  # seconds that a text given by --when may take to appear


@dataclasses.dataclass
class Plan:
    """What `--screenshot` and its companions ask for."""

    target: pathlib.Path
    keys: str = ""
    after: float = None  # seconds from the start to the keys, else: when the screen is quiet
    when: str = None  # a text on the screen or on the serial line to wait for first
    timeout: float = None


class Screen:
    """A machine that runs, its screen and its keyboard. A context manager: leaving ends QEMU."""

    def __init__(self, setup):
        self._folder = tempfile.TemporaryDirectory(prefix="croft-screen-")
        folder = pathlib.Path(self._folder.name)
        self._scratch = folder / "scratch"
        self.serial = folder / "serial"
        self.log = setup.log
        command = headless(setup.command(), folder / "qmp", self.serial)
        setup.log.parent.mkdir(parents=True, exist_ok=True)
        with setup.log.with_suffix(".qemu").open("wb") as noise:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=noise,
                                            stderr=noise)
        self.qmp = qmp.Connection(folder / "qmp")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.qmp.close()
        if self.serial.exists():
            self.log.write_bytes(self.serial.read_bytes())
        self._folder.cleanup()

    def text_memory(self):
        """The card's text memory: characters and attributes by turns."""
        return self.qmp.memory(TEXT_MEMORY, TEXT_BYTES, self._scratch)

    def shows(self, text):
        """Whether `text` stands somewhere in the text memory or on the serial line."""
        wanted = text.encode("ascii", "replace")
        return wanted in self.text_memory()[::2] or wanted in self.serial.read_bytes()

    def picture(self):
        """The screen as a PNG's bytes."""
        self.qmp.screendump(self._scratch)
        return self._scratch.read_bytes()

    def wait_for(self, text, seconds=PATIENCE):
        """Until `text` is shown; a CroftError if it is not in time."""
        deadline = time.monotonic() + seconds
        while not self.shows(text):
            if time.monotonic() > deadline:
                raise CroftError(f"{text!r} has not appeared in {seconds:.0f} seconds",
                                 f"the serial line is in {self.log}")
            time.sleep(PAUSE)

    def wait_until_quiet(self, deadline):
        """Until nothing but a blinking cursor changes: two pictures by turns, or one."""
        looks = collections.deque(maxlen=BUSY_LOOKS)
        while time.monotonic() < deadline:
            written = self.serial.stat().st_size if self.serial.exists() else 0
            looks.append((hashlib.sha256(self.picture()).digest(), written, self.qmp.halted()))
            last = list(looks)[-QUIET_LOOKS:]
            idle = sum(halted for _, _, halted in last) > QUIET_LOOKS // 2
            if _quiet(last, QUIET_LOOKS) if idle else _quiet(looks, BUSY_LOOKS):
                return
            time.sleep(PAUSE)

    def press(self, keys):
        for chord, seconds in qmp.chords(keys):
            self.qmp.press(chord, seconds)


def _quiet(looks, enough):
    pictures = collections.Counter((picture, written) for picture, written, _ in looks)
    return len(looks) >= enough and len(pictures) <= 2 and min(pictures.values()) > 1


def headless(command, socket, serial):
    """The machine's command with its serial line in a file, without its debug exit."""
    words, result = iter(command), []
    for word in words:
        if word in ("-chardev", "-serial", "-mon", "-monitor"):
            next(words)
        elif word == "-device":
            device = next(words)
            if not device.startswith("isa-debug-exit"):
                result += [word, device]
        else:
            result.append(word)
    return result + ["-monitor", "none", "-serial", f"file:{serial}",
                     "-qmp", f"unix:{socket},server=on,wait=off"]


def run(setup, plan):
    """Returns croft's exit status: 0 when the picture is there."""
    limit = plan.timeout or PATIENCE
    qmp.chords(plan.keys)  # a mistake in them is told before anything runs
    deadline = time.monotonic() + limit
    with Screen(setup) as screen:
        with progress.step("Waiting for the guest's screen"):
            if plan.when is not None:
                screen.wait_for(plan.when, limit)
            if plan.after is not None:
                time.sleep(plan.after)
            elif plan.when is None:
                screen.wait_until_quiet(deadline)
        if plan.keys:
            screen.press(plan.keys)
            screen.wait_until_quiet(time.monotonic() + QUIET_LOOKS * PAUSE * 2)
        plan.target.parent.mkdir(parents=True, exist_ok=True)
        plan.target.write_bytes(screen.picture())
    progress.say(f"wrote {plan.target}")
    return 0
