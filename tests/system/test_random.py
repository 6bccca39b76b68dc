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


def run_croft(count, seed, engines):
    words = [*CROFT, "test", "--random", str(count), "--seed", seed, "--engines", engines]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.hosted
@pytest.mark.parametrize("engine, count", [("translate", 600), ("interpret", 300)])
def test_short_run(engine, count):
    result = run_croft(count, "short", engine)
    assert result.returncode == 0, result.stdout


@pytest.mark.hosted
@pytest.mark.long
def test_long_run():
    result = run_croft(20000, "long", "translate,interpret")
    assert result.returncode == 0, result.stdout
