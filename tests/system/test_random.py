"""Random sequences on the bare machine and under Undercroft (docs/testing.md); those that once
found a bug are run again."""

import subprocess
import sys

import pytest

from conftest import CROFT, ROOT

sys.path.insert(0, str(ROOT / "tools"))
from croft.randomtest import command, runner  # noqa: E402


@pytest.mark.hosted
@pytest.mark.parametrize("engine", runner.ENGINES)
def test_found_sequences_stay_equal(engine, tmp_path):
    assert not command.replay(runner.QEMU, engine, tmp_path)


def run_croft(count, seed, engines, *words):
    command_line = [*CROFT, "test", "--random", str(count), "--seed", seed, "--engines", engines]
    return subprocess.run([*command_line, *words], capture_output=True, text=True, check=False)


@pytest.mark.hosted
@pytest.mark.parametrize("engine, count", [("translate", 500), ("interpret", 200)])
def test_short_run(engine, count):
    result = run_croft(count, "short", engine, "--until-mismatch")
    assert result.returncode == 0, result.stdout


@pytest.mark.hosted
@pytest.mark.long(minutes=15)
@pytest.mark.parametrize("engine", ["translate", "interpret"])
@pytest.mark.parametrize("emulator, count", [("qemu", 20000), ("bochs", 4000)])
def test_long_run(emulator, count, engine):
    result = run_croft(count, "long", engine, "--emulator", emulator)
    assert result.returncode == 0, result.stdout


@pytest.mark.hosted
@pytest.mark.long(minutes=25)
def test_planted_bugs_are_found(tmp_path):
    script = ROOT / "tests" / "random" / "planted.py"
    result = subprocess.run([sys.executable, str(script), str(tmp_path / "tree")],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
