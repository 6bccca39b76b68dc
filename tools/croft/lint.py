"""Checks what a compiler does not: clang-format's layout, the reading order, on request clang-tidy.
"""

import itertools
import os
import re
import subprocess

from . import build, packages, paths, progress

READING_ORDER = paths.ROOT / "docs" / "reading-order.md"
# Every file of these places is named in the reading order; tests are, by folder.
SOURCE_PLACES = ("boot", "arch", "monitor", "guest_loader", "tools", "cmake")
SOURCE_FILES = ("croft", "linker.ld", "CMakeLists.txt")
CODE_ENDINGS = (".cpp", ".hpp", ".c", ".h")
SOURCE_ENDINGS = (*CODE_ENDINGS, ".S", ".ld", ".py", ".sh", ".cmake")


def sources(places, endings):
    """All files below `places` that end so, relative to the top."""
    found = []
    for place in places:
        for folder, folders, names in os.walk(paths.ROOT / place):
            folders[:] = [name for name in folders if name != "__pycache__"]
            found += [os.path.relpath(os.path.join(folder, name), paths.ROOT)
                      for name in names if name.endswith(endings)]
    return sorted(found)


def expand(text):
    """`a/b.{hpp,cpp}` -> a/b.hpp, a/b.cpp."""
    parts = [part.split(",") for part in re.split(r"\{([^}]*)\}", text)[1::2]]
    form = re.sub(r"\{[^}]*\}", "{}", text)
    return [form.format(*choice) for choice in itertools.product(*parts)]


def named(text):
    """The paths that a Markdown text names in code spans."""
    spans = re.findall(r"`([^`\s]+)`", text)
    return {name for span in spans if "/" in span or "." in span or span in SOURCE_FILES
            for name in expand(span)}


def reading_order_faults():
    """What docs/reading-order.md lacks, and what it names though it is gone."""
    names = named(READING_ORDER.read_text())
    present = sources(SOURCE_PLACES, SOURCE_ENDINGS)
    present += [name for name in SOURCE_FILES if (paths.ROOT / name).exists()]
    tests = {os.path.dirname(name) + "/" for name in sources(["tests"], SOURCE_ENDINGS)}
    faults = [f"docs/reading-order.md does not name {name}"
              for name in sorted([*present, *tests]) if name not in names]
    faults += [f"docs/reading-order.md names {name}, which is not there"
               for name in sorted(names) if not (paths.ROOT / name).exists()]
    return faults


def format_faults(fix):
    files = sources(("boot", "arch", "monitor", "guest_loader", "tests"), CODE_ENDINGS)
    if not files:
        return []
    if fix:
        subprocess.run(["clang-format", "-i", *files], cwd=paths.ROOT, check=True)
        return []
    answer = subprocess.run(["clang-format", "--dry-run", *files], cwd=paths.ROOT,
                            capture_output=True, text=True, check=False).stderr
    bad = sorted(set(re.findall(r"^(?:\S*?/)?((?:boot|arch|monitor|guest_loader|tests)/\S+?):\d+:",
                                answer, re.MULTILINE)))
    return [f"{name} is not formatted (./croft lint --fix)" for name in bad]


def tidy_faults():
    """clang-tidy over the logic, by the hosted build's compile commands."""
    packages.require("test-all")
    build.hosted_tests()
    files = sources(("monitor", "guest_loader"), (".cpp",))
    with progress.step(f"clang-tidy over {len(files)} files"):
        answer = subprocess.run(["xargs", "-n4", f"-P{os.cpu_count()}", "clang-tidy", "--quiet",
                                 "-p", str(paths.BUILD_HOSTED)], input="\n".join(files), text=True,
                                cwd=paths.ROOT, capture_output=True, check=False)
    faults = re.findall(r"^\S+?:\d+:\d+: (?:warning|error): .*$", answer.stdout, re.MULTILINE)
    return sorted(set(faults))


def faults(fix=False, tidy=False):
    packages.require("test")
    found = format_faults(fix) + reading_order_faults()
    return found + (tidy_faults() if tidy else [])


def run(fix, tidy):
    found = faults(fix, tidy)
    for fault in found:
        print(fault)
    progress.say(f"lint: {len(found)} faults" if found else "lint: nothing to complain of")
    return 1 if found else 0
