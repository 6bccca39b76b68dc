"""Where things are. All that croft writes lies in build*/ and cache/, which git ignores."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "cache"
BUILD = ROOT / "build"
BUILD_HOSTED = ROOT / "build-hosted"
BUILD_FUZZ = ROOT / "build-fuzz"
IMAGE = BUILD / "undercroft.elf"
LOGS = BUILD / "logs"
