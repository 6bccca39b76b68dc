"""What croft says to mistakes: one line that names them, one that helps, and nothing is built first."""

import gzip
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def croft(*words):
    return subprocess.run([sys.executable, str(ROOT / "croft"), *words], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("words, told", [
    (["run", "--bogus"], "unknown: --bogus"),
    (["run", "linux", "linux-pae"], "unknown: linux-pae"),
    (["fly"], "invalid choice: 'fly'"),
    (["run", "--memory", "12X"], "'12X' is not a size such as 256M"),
    (["run", "--memory", "0"], "'0' is not a size"),
    (["run", "--timeout", "soon"], "'soon' is not a number above 0"),
    (["run", "--timeout", "-1"], "'-1' is not a number above 0"),
    (["run", "--framebuffer", "big"], "'big' is not a mode such as 1024x768x32"),
    (["run", "--qemu", "'open"], "no closing quotation"),
    (["run", "--firmware", "coreboot"], "invalid choice: 'coreboot'"),
    (["test", "--random", "0"], "'0' is not a number from 1 on"),
    (["test", "--engines", "steam", "--random", "1"], "steam: there are translate, interpret, guard"),
    (["test", "--modes", "real", "--random", "1", "--seed", "words"], "real: there are flat, small, v86"),
    (["test", "--hostile", "1", "--seed", "x"], "'x' is not a number"),
])
def test_what_cannot_be_typed(words, told):
    result = croft(*words)
    lines = result.stderr.splitlines()
    assert result.returncode == 2 and len(lines) == 2, result.stderr
    assert told in lines[0] and "--help" in lines[1]


@pytest.mark.parametrize("words, told, hint", [
    (["run", "linucs"], "no guest named linucs", "perhaps linux?"),
    (["run", "{folder}/file"], "no guest named", "--kernel {folder}/file"),
    (["run", "xyzzy"], "no guest named xyzzy", "grub-invaders"),
    (["run", "--kernel", "{folder}/none"], "none: No such file", ""),
    (["run", "--kernel", "{folder}"], "Is a directory", ""),
    (["run", "--kernel", "{folder}/packed"], "is compressed by gzip", "gunzip"),
    (["run", "--kernel", "{folder}/file", "linux"], "not both", ""),
    (["run", "--initrd", "{folder}/file"], "go with --kernel", ""),
    (["run", "--kernel", "{folder}/file", "--module", "{folder}/none a=1"], "none: no such file", ""),
    (["run", "--memory", "1M"], "2M to 3072M", ""),
    (["run", "--memory", "4G"], "2M to 3072M", ""),
    (["run", "--disk", "{folder}/odd"], "1000 bytes, which is no multiple of 512", "truncate -s %512"),
    (["run", "--disk", "{folder}/file,scsi"], "'scsi' is neither a kind of disk nor save", "virtio|ata"),
    (["run", "--keys", "ret"], "go with --screenshot", ""),
    (["iso", "-o", "{folder}/none/x.iso"], "there is no folder {folder}/none", ""),
    (["fetch", "linucs"], "no guest named linucs", "perhaps linux?"),
])
def test_what_cannot_be_done(tmp_path, words, told, hint):
    (tmp_path / "file").write_bytes(bytes(512))
    (tmp_path / "odd").write_bytes(bytes(1000))
    (tmp_path / "packed").write_bytes(gzip.compress(bytes(512)))
    extra = ["--no-build"] if words[0] == "run" else []
    result = croft(*[word.format(folder=tmp_path) for word in words], *extra)
    assert result.returncode == 1, result.stderr
    assert told.format(folder=tmp_path) in result.stderr, result.stderr
    assert hint.format(folder=tmp_path) in result.stderr, result.stderr
    assert "Traceback" not in result.stderr


def test_without_words_croft_tells_what_it_can():
    result = croft()
    assert result.returncode == 2 and "./croft run" in result.stdout
