"""Runs sequences on one machine: a boot of the test kernel for many of them, and again behind one
that ended it."""

import dataclasses
import os
import pathlib
import selectors
import subprocess
import time

from .. import bochs, guests, image, paths
from ..errors import CroftError
from ..machine import emulator_words
from .encoding import LAX, STRICT

MOST_BARREN = 8  # boots in a row that end with their first sequence
KERNEL = paths.BUILD / "random" / "random.elf"


@dataclasses.dataclass(frozen=True)
class Machine:
    """How the kernel is booted. options None: on the bare machine."""

    name: str
    options: str = None
    quiet: float = 8  # seconds without a line after which it is taken to hang
    bochs: bool = False

    def command(self, module):
        options = None if self.options is None else f"mem=64M {self.options}".strip()
        if self.bochs:
            return _bochs_command(module, options)
        words = [*emulator_words(), "-monitor", "none", "-serial", "stdio"]
        if options is None:
            return [*words, "-m", "64", "-kernel", str(KERNEL), "-initrd", str(module)]
        return [*words, "-m", "256", "-kernel", str(paths.IMAGE), "-append", options, "-initrd",
                f"{KERNEL},{module}"]


def _bochs_command(module, options):
    guest = guests.from_files(KERNEL, "", None, [str(module)])
    iso = module.with_suffix(".iso")
    image.write(guest, options is None, options or "", iso)
    return bochs.command(iso, 64 if options is None else 256, pathlib.Path(os.devnull))


@dataclasses.dataclass(frozen=True)
class Emulator:
    """A bare machine, what runs on it, and what it does as the manual says."""

    bare: Machine
    hosted: dict
    profile: object
    rules: str  # known differences that are this emulator's begin so


ENGINES = {"translate": "", "interpret": "engine=interpret", "guard": "guard=exact"}
QEMU = Emulator(Machine("bare"),
                {name: Machine(name, options, 40) for name, options in ENGINES.items()}, LAX, "TCG: ")
BOCHS = Emulator(Machine("bochs bare", None, 60, True),
                 {name: Machine(f"bochs {name}", options, 90, True)
                  for name, options in ENGINES.items()}, STRICT, "Bochs: ")
EMULATORS = {"qemu": QEMU, "bochs": BOCHS}


def _lines(machine, module, on_line):
    """Boots once; (exit status or None if it hung, the text that is no transcript)."""
    other = []
    with subprocess.Popen(machine.command(module), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        waiting = selectors.DefaultSelector()
        waiting.register(process.stdout, selectors.EVENT_READ)
        rest, last = b"", time.monotonic()
        while True:
            if not waiting.select(1):
                if time.monotonic() - last > machine.quiet:
                    process.kill()
                    return None, "\n".join(other)
                continue
            piece = process.stdout.read1(65536)
            if not piece:
                break
            last = time.monotonic()
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                text = line.decode(errors="replace").rstrip("\r")
                if not on_line(text):
                    other.append(text)
        return process.wait(), "\n".join(other)


def run(machine, sequences, folder):
    """{index: line, or "! why" for one that ended the kernel}. `folder` takes the module."""
    results = {}
    first = barren = 0

    def on_line(text):
        words = text.split()
        if len(words) > 2 and words[0] == "|" and words[2].startswith("v="):
            results[int(words[1], 16)] = text[2:]
            return True
        return False

    module = pathlib.Path(folder) / f"{machine.name.replace(' ', '-')}.sequences"
    while first < len(sequences):
        module.write_bytes(b"".join(sequence.pack(first + index)
                                    for index, sequence in enumerate(sequences[first:])))
        status, text = _lines(machine, module, on_line)
        done = max(results, default=-1) + 1
        if done >= len(sequences):
            break
        results[done] = "! " + _why(status, text)
        barren = barren + 1 if done == first else 0
        if barren > MOST_BARREN:
            raise CroftError(f"the kernel of the random tester does not run: {results[done]}")
        first = done + 1
    return results


def _why(status, text):
    if status is None:
        return "hangs"
    telling = [line for line in text.splitlines()
               if any(word in line for word in ("stopped", "panic", "PANIC", "triple", "halted",
                                                "unexpected", "FAILED", "reset"))]
    return f"status {status}: {'; '.join(telling)[:300]}"
