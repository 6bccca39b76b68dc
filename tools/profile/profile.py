#!/usr/bin/python3
"""A deterministic instruction profile: which functions of the monitor a run of Linux spends its
instructions in.

QEMU runs the guest with one instruction per nanosecond and profile_plugin.c counts; here the
counts become a table. Knows the window's layout (monitor/window_layout.hpp); what is booted and
how comes from tools/croft. docs/measuring.md tells how to read the table.
"""

import argparse
import bisect
import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from croft import errors, execution, guests, machine, paths  # noqa: E402

WORK = paths.BUILD / "profile"
PLUGIN = WORK / "profile_plugin.so"
IMAGE, COUNTS, SERIAL = "undercroft.elf", "counts.txt", "serial.log"  # of one run

WINDOW_SIZE = 0x400000
IMAGE_END = 0x130000
CACHE_START, CACHE_END = 0x140000, 0x380000  # jump table and translation cache
GUEST_KERNEL = 0xC0000000  # Linux' PAGE_OFFSET


class ProfileError(Exception):
    pass


def build_plugin():
    WORK.mkdir(parents=True, exist_ok=True)
    source = HERE / "profile_plugin.c"
    if PLUGIN.exists() and PLUGIN.stat().st_mtime > source.stat().st_mtime:
        return
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
                    "-fvisibility=hidden", "-o", str(PLUGIN), str(source)], check=True)


def escaped(text):
    """A value in one of QEMU's comma-separated lists."""
    return str(text).replace(",", ",,")


def modules_of(options, folder):
    """Kernel and initrd, linked into `folder`, as words for -initrd."""
    guest = guests.find("linux").prepare()
    line = " ".join([guest.command_line, options.append]).strip()
    if options.command:
        line = execution.command_line(line, options.command)
    files = [guest.kernel, *(module.file for module in guest.modules)]
    for file in files:
        (folder / file.name).symlink_to(file)
    return [f"{files[0].name} {line}", *(file.name for file in files[1:])]


def qemu_command(options, folder):
    """QEMU's command line, to be run in `folder`: the monitor reads the names of image and modules,
    and how long they are shall not depend on where the tree lies."""
    each = "instruction" if options.precise else "block"
    return [*machine.emulator_words(), *machine.DETERMINISTIC, "-m", "512", "-monitor", "none",
            "-chardev", f"file,id=line,path={SERIAL}", "-serial", "chardev:line",
            "-plugin", f"{escaped(PLUGIN)},out={COUNTS},window={options.window:#x},each={each}",
            "-kernel", IMAGE, "-append", f"mem=256M {options.monitor}".strip(),
            "-initrd", ",".join(map(escaped, modules_of(options, folder)))]


def run(options, folder):
    """Runs the image in `folder`, which gets the counts and the serial line. Returns what the run's
    end means."""
    process = subprocess.Popen(qemu_command(options, folder), cwd=folder, stdin=subprocess.DEVNULL)
    try:
        status = process.wait(options.timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # QEMU still writes the counts
        process.wait()
        return "stopped by --timeout: not reproducible"
    finally:
        if process.poll() is None:
            process.kill()
    return machine.outcome(status)[1]


def read_counts(lines):
    """(instructions before the window existed, {linear address: instructions since})."""
    start, counts = 0, {}
    for line in lines:
        key, count = line.split()
        if key == "start":
            start = int(count)
        else:
            counts[int(key, 16)] = int(count)
    return start, counts


def short_name(name, arguments):
    """A demangled name without our namespaces, and without its arguments unless asked for."""
    name = name.replace("undercroft::", "").replace("(anonymous namespace)::", "")
    if arguments:
        return re.sub(r"Address<(\w+)Tag>", r"\1", name)
    clone = "".join(re.findall(r" \[clone ([^]]*)\]", name))
    name = re.sub(r" \[clone [^]]*\]", "", name)
    return re.sub(r"(?<!operator)\(.*\)( const)?$", "", name) + clone


class Symbols:
    """The image's functions by window offset; overloads are named with their arguments."""

    def __init__(self, lines):
        names = {}
        for line in lines:
            found = re.fullmatch(r"([0-9a-f]{8}) [tTwW] (.*)", line)
            if found:
                names.setdefault(int(found.group(1), 16), found.group(2))
        uses = collections.Counter(short_name(name, False) for name in names.values())
        self._functions = {start: short_name(name, uses[short_name(name, False)] > 1)
                           for start, name in names.items()}
        self._starts = sorted(names)

    def name(self, offset):
        index = bisect.bisect_right(self._starts, offset) - 1
        return self._functions[self._starts[index]] if index >= 0 else "(no symbol)"

    def start(self, offset):
        index = bisect.bisect_right(self._starts, offset) - 1
        return self._starts[index] if index >= 0 else 0


def region(address, window):
    """Whose instruction this is; None: the monitor's own."""
    offset = (address - window) % (1 << 32)
    if offset < IMAGE_END:
        return None
    if CACHE_START <= offset < CACHE_END:
        return "[translation cache]"
    if offset < WINDOW_SIZE:
        return "[window, neither image nor cache]"
    return "[guest user, direct]" if address < GUEST_KERNEL else "[elsewhere]"


def aggregate(start, counts, symbols, window):
    """[(instructions, name)], most first; a function is told apart by its address."""
    sums = {("[firmware and image start]", 0): start}
    for address, count in counts.items():
        name, where = region(address, window), 0
        if name is None:
            offset = (address - window) % (1 << 32)
            name, where = symbols.name(offset), symbols.start(offset)
        sums[name, where] = sums.get((name, where), 0) + count
    return sorted(((count, name) for (name, _), count in sums.items() if count), reverse=True)


def is_region(name):
    return name.startswith("[")


def table(rows, top):
    total = sum(count for count, _ in rows)
    monitor = sum(count for count, name in rows if not is_region(name))
    yield f"{'instructions':>15} {'of all':>7} {'of mon.':>7}"

    def line(count, name, mine):
        of_monitor = f"{count / monitor:7.2%}" if mine and monitor else ""
        return f"{count:15,} {count / total:7.2%} {of_monitor:>7} {name}"

    yield line(total, "all", False)
    yield line(monitor, "monitor", True)
    for count, name in rows:
        if is_region(name):
            yield line(count, name, False)
    yield ""
    functions = [row for row in rows if not is_region(row[1])]
    for count, name in functions[:top]:
        yield line(count, name, True)
    rest = functions[top:]
    if rest:
        yield line(sum(count for count, _ in rest), f"({len(rest)} more functions)", True)


def migrations(serial):
    found = re.findall(rb"window migrations (\d+)", serial)
    return int(found[-1]) if found else 0


def report(options, folder, end):
    names = subprocess.run(["nm", "-nC", str(folder / IMAGE)], capture_output=True, text=True,
                           check=True).stdout
    start, counts = read_counts((folder / COUNTS).read_text().splitlines())
    moved = migrations((folder / SERIAL).read_bytes())
    print(f"{options.command} (monitor options: {options.monitor or 'none'}): {end}")
    if moved:
        print(f"note: the window moved {moved} times; the monitor's instructions at other places "
              "are not told from the guest's")
    rows = aggregate(start, counts, Symbols(names.splitlines()), options.window)
    print(*table(rows, options.top), sep="\n")


def options_of(words):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exec", dest="command", metavar="COMMAND", default="true",
                        help="the shell command that the guest runs before it ends "
                             "(default: true)")
    parser.add_argument("--monitor", default="", metavar="OPTIONS",
                        help="options for Undercroft itself")
    parser.add_argument("--append", default="", metavar="WORDS",
                        help="added to the guest's command line")
    parser.add_argument("--elf", type=pathlib.Path, default=paths.IMAGE, metavar="FILE",
                        help="the image (default build/undercroft.elf)")
    parser.add_argument("--window", type=lambda text: int(text, 0), default=0xFF000000,
                        metavar="ADDRESS", help="the window's base (default 0xff000000)")
    parser.add_argument("--top", type=int, default=40, metavar="N",
                        help="how many functions to list (default 40)")
    parser.add_argument("--precise", action="store_true",
                        help="count each instruction, not each block: slower")
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS")
    return parser.parse_args(words)


def main(words):
    options = options_of(words)
    if not options.elf.exists():
        raise ProfileError(f"{options.elf} is not there")
    build_plugin()
    began = time.monotonic()
    # A folder per run: runs may be concurrent, and the image may be built anew meanwhile.
    with tempfile.TemporaryDirectory(dir=WORK, prefix="run-") as name:
        folder = pathlib.Path(name)
        shutil.copyfile(options.elf, folder / IMAGE)
        end = run(options, folder)
        if not (folder / COUNTS).exists():
            raise ProfileError(f"QEMU wrote no counts ({end})")
        report(options, folder, end)
        for file in (COUNTS, SERIAL):
            (folder / file).replace(WORK / file)
    print(f"{time.monotonic() - began:.0f} s; {COUNTS} and {SERIAL} are in {WORK}",
          file=sys.stderr)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ProfileError, errors.CroftError, subprocess.CalledProcessError) as error:
        sys.exit(f"profile: {error}")
