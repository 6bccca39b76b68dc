"""`croft test --random N --seed S`: generates, runs, compares, reduces, keeps."""

import collections
import tempfile
import time

from .. import build, paths, progress
from . import compare, runner
from .coverage import Coverage
from .generator import MODES, generate
from .reduce import mismatches, reduce
from .sequence import from_text, to_text

FOUND = paths.ROOT / "tests" / "random" / "found"
BATCH, SMALL_BATCH = 1000, 250
MOST_REDUCED = 8  # mismatches of a run that are reduced; the rest is counted only


class Run:
    """All batches of one run, and what came of them."""

    def __init__(self, seed, emulator, machines, folder, modes):
        self.seed, self.emulator, self.machines, self.folder = seed, emulator, machines, folder
        self.modes = modes
        self.coverage = Coverage()
        self.compared = collections.Counter()
        self.lost = 0
        self.rules = collections.Counter()
        self.unexplained = []  # (machine, number, sequence, verdict)

    def batch(self, first, count):
        sequences = [generate(self.seed, number, self.emulator.profile, self.modes)
                     for number in range(first, first + count)]
        expected = runner.run(self.emulator.bare, sequences, self.folder)
        for index, sequence in enumerate(sequences):
            self.coverage.add(sequence, expected[index])
            self.lost += expected[index].startswith("!")
        for machine in self.machines:
            got = runner.run(machine, sequences, self.folder)
            for index, sequence in enumerate(sequences):
                verdict = compare.compare(sequence, expected[index], got[index], self.emulator)
                self.compared[machine.name] += 1
                self.rules.update(verdict.rules or ())
                if verdict.mismatch():
                    self.unexplained.append((machine, first + index, sequence, verdict))
                    print(f"mismatch: {machine.name} {self.seed}/{first + index}: "
                          f"{verdict.text()[:200]}", flush=True)


def keep(run, folder=FOUND):
    """Reduces and writes the first of the mismatches."""
    folder.mkdir(parents=True, exist_ok=True)
    for machine, number, sequence, verdict in run.unexplained[:MOST_REDUCED]:
        smaller, reduced = reduce(run.emulator, machine, sequence, run.folder)
        remarks = [f"{machine.name}, seed {run.seed}, number {number}"]
        if smaller is None:
            remarks.append("only in company of the sequences before it")
            smaller, reduced = sequence, verdict
        remarks += [f"{name}: {a} on the bare machine, {b}"
                    for name, (a, b) in sorted(reduced.differing.items())]
        file = folder / f"{run.seed}-{number}.txt"
        file.write_text(to_text(smaller, remarks))
        print(f"kept {file.relative_to(paths.ROOT)}", flush=True)


def run(count, seed, engines, emulator_name, until_mismatch=False, modes=tuple(MODES)):
    """Returns croft's exit status: 1 if anything differed that no rule explains. until_mismatch: stops
    there, and keeps nothing."""
    build.image()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="croft-random-") as folder:
        emulator = runner.EMULATORS[emulator_name]
        machines = [emulator.hosted[name] for name in engines.split(",")]
        made = Run(seed, emulator, machines, folder, modes)
        step = SMALL_BATCH if until_mismatch else BATCH
        for first in range(0, count, step):
            made.batch(first, min(step, count - first))
            if made.unexplained and until_mismatch:
                return 1
            progress.say(f"{min(count, first + step)} of {count} sequences, "
                         f"{len(made.unexplained)} mismatches, {time.monotonic() - started:.0f} s")
        if made.unexplained:
            keep(made)
    print(made.coverage.text())
    for rule, times in made.rules.most_common():
        print(f"known difference: {rule}: {times}")
    compared = ", ".join(f"{number} {name}" for name, number in made.compared.items())
    print(f"random test, seed {seed}: {compared}; {made.lost} ended the bare machine; "
          f"{len(made.unexplained)} mismatches", flush=True)
    return 1 if made.unexplained else 0


def replay(emulator, engine, folder):
    """[(file name, what differs)] of the sequences of tests/random/found that fail again."""
    kept = [(file.name, from_text(file.read_text())) for file in sorted(FOUND.glob("*.txt"))]
    names = {id(sequence): name for name, sequence in kept}
    found = mismatches(emulator, emulator.hosted[engine], [sequence for _, sequence in kept], folder)
    return [(names[id(sequence)], verdict.text()) for sequence, verdict in found]
