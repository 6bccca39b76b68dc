"""Builds by CMake's presets: the image in build/, the hosted tests in build-hosted/."""

from . import packages, paths, progress
from .errors import CroftError


def _preset(name, folder, title):
    if not (folder / "build.ninja").exists():
        progress.run_logged(f"Configuring {title}", ["cmake", "--preset", name],
                            f"configure-{name}.log", cwd=paths.ROOT)
    progress.run_logged(f"Building {title}", ["cmake", "--build", "--preset", name],
                        f"build-{name}.log", cwd=paths.ROOT)


def image():
    """Leaves build/undercroft.elf and the test kernels."""
    packages.require("build")
    _preset("default", paths.BUILD, "the image")
    if not paths.IMAGE.exists():
        raise CroftError("the build made no undercroft.elf")


def hosted_tests():
    packages.require("build", "test")
    _preset("hosted", paths.BUILD_HOSTED, "the hosted tests")


def fuzz_targets():
    packages.require("build", "test-all")
    _preset("fuzz", paths.BUILD_FUZZ, "the fuzz targets")
