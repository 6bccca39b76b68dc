"""Hostile guests: runs of tests/hostile with many seeds and options, and what became of each.

Every run must end by itself with a report. It may pass, or the guest may have destroyed itself
(triple fault, reset, watchdog); the monitor must not panic, and whatever no guest may write must be
unchanged (check=frames).
"""

import collections
import re
import subprocess
import time

from . import build, machine, packages, paths, progress

# The guest's words and the monitor's options, by turns.
KINDS = [
    ("", ""),
    ("", "engine=interpret"),
    ("", "withdraw=every:50"),
    ("", "window=hop:7"),
    ("user", ""),
    ("tables", "memory=lazy withdraw=every:20"),
    ("tables", "window=hop:1"),
    ("descriptors", ""),
    ("code", ""),
    ("spaces cache", "withdraw=every:100"),
    ("ports registers", ""),
    ("cpupage", ""),
]
# Nothing in these disturbs the guest's own checks, so they must hold.
CHECKED = "spaces cache"
ROUNDS = 12
SECONDS = 240
PASSED, CHECK_FAILED = 0x20, 0x21
# What Undercroft stops a guest for on purpose (docs/equivalence.md).
ALLOWED_STOPS = ("the watchdog", "an x87 or SSE instruction", "a GDT that reaches",
                 "no machine frame is left")


def command(seed, words, options, rounds):
    guest = f"{paths.BUILD / 'hostile' / 'hostile.elf'} seed={seed} rounds={rounds} {words}".strip()
    return [*machine.emulator_words(), "-m", "80", "-serial", "stdio", "-monitor", "none", "-kernel",
            str(paths.IMAGE), "-append", f"mem=32M check=frames watchdog=20 {options}".strip(),
            "-initrd", guest]


def judge(status, text, words):
    """(what became of the run, whether that is a fault of Undercroft's)"""
    if status is None:
        return "did not end", True
    value = status >> 1
    stopped = re.search(r"undercroft: the guest was stopped: (.*)", text)
    if "undercroft: panic" in text:
        return "monitor panic", True
    if not re.search(r"^check: .* 0 of them wrong", text, re.MULTILINE) or "CHANGED" in text:
        return "no frame check, or a bad one", True
    if stopped:
        reason = stopped.group(1).strip()
        return f"stopped: {reason}", not reason.startswith(ALLOWED_STOPS)
    if value == CHECK_FAILED:
        return "the guest's own check failed", words == CHECKED
    if value == PASSED:
        return "all rounds", False
    # Code by chance may have written any value to isa-debug-exit.
    return machine.OUTCOMES.get(value, (0, "the guest ended the machine"))[1], not status & 1


def attack(seed, words, options, rounds=ROUNDS):
    """Runs one guest; returns (what became of it, whether that is a fault, its serial line)."""
    try:
        done = subprocess.run(command(seed, words, options, rounds), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
                              check=False)
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        status, output = None, late.stdout or b""
    text = output.decode(errors="replace").replace("\r", "")
    return *judge(status, text, words), text


def run(minutes, first_seed):
    packages.require("build", "run")
    build.image()
    passed, text = campaign(minutes, first_seed)
    print(f"croft test: {'PASS' if passed else 'FAIL'} ({text})", flush=True)
    return 0 if passed else 1


def campaign(minutes, first_seed):
    """(passed, what to say)"""
    started = time.monotonic()
    outcomes, rounds, faults, seed = collections.Counter(), 0, [], first_seed
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    while time.monotonic() - started < minutes * 60:
        words, options = KINDS[seed % len(KINDS)]
        what, is_fault, text = attack(seed, words, options)
        outcomes[what] += 1
        rounds += text.count("| round ")
        if is_fault:
            log = paths.LOGS / f"hostile-{seed}.log"
            log.write_text(text)
            faults.append(seed)
            progress.say(f"seed {seed} ({words or 'all'}; {options}): {what}; see {log}")
        seed += 1
    for what, count in outcomes.most_common():
        print(f"  {count:5} {what}")
    text = (f"{seed - first_seed} hostile guests, seeds {first_seed} to {seed - 1}, {rounds} rounds "
            f"of attacks in {(time.monotonic() - started) / 60:.1f} minutes, {len(faults)} faults")
    return not faults, text
