"""How a run ends, and that croft's exit status says so."""

import pytest

from conftest import ROOT


def start(croft, *words):
    """Boots a file of the test's own; returns (exit status, what was on the terminal)."""
    terminal = croft.start(*words, "--timeout", "120")
    text = terminal.read()
    terminal.close()
    return terminal.exitstatus, text


@pytest.mark.hosted
@pytest.mark.parametrize("content", [b"", b"not a kernel\n", bytes(70000)],
                         ids=["empty", "text", "zeros"])
def test_file_that_is_no_kernel_is_refused(croft, tmp_path, content):
    kernel = tmp_path / "kernel"
    kernel.write_bytes(content)
    status, text = start(croft, "--kernel", str(kernel))
    assert status == 104, text


@pytest.mark.hosted
def test_truncated_linux_is_refused(croft, tmp_path):
    from_cache = ROOT / "cache" / "guests" / "linux" / "vmlinuz"
    kernel = tmp_path / "kernel"
    kernel.write_bytes(from_cache.read_bytes()[:100000])
    status, text = start(croft, "--kernel", str(kernel))
    assert status == 104, text


@pytest.mark.hosted
def test_too_little_memory_is_refused(croft):
    status, text = start(croft, "linux", "--memory", "8M")
    assert status == 104, text
    assert "memory" in text


@pytest.mark.hosted
def test_unknown_option_is_refused_by_name(croft):
    status, text = start(croft, "linux", "--monitor", "colour=green")
    assert status == 104, text
    assert "colour" in text


@pytest.mark.hosted
def test_kernel_panic_is_a_reset(croft):
    # panic=-1 of the command line: reboot at once
    result = croft.execute("echo c >/proc/sysrq-trigger")
    assert result.returncode in (101, 102), result.stderr


def test_poweroff_of_the_shell_ends_the_run(croft):
    status, text = croft.shell().leave("poweroff")
    assert (status, "the guest powered off" in text) == (0, True)
