#!/usr/bin/env python3
"""Runs decoder_text over the whole text of the Debian kernel that croft has fetched.

usage: kernel_text.py DECODER_TEXT CACHE_DIRECTORY

Ends with status 77 (skipped) if no kernel package is there.
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    packages = sorted(pathlib.Path(sys.argv[2]).rglob("linux-image-*-686*.deb"))
    if not packages:
        print("no linux-image package fetched: ./croft fetch")
        sys.exit(77)
    for package in packages:
        with tempfile.TemporaryDirectory() as directory:
            extract = [sys.executable, HERE / "extract_kernel_text.py", package, directory]
            subprocess.run(extract, check=True)
            sections = sorted(pathlib.Path(directory).glob("*.bin"))
            status = subprocess.run([sys.argv[1], *sections]).returncode
            if status != 0:
                sys.exit(status)


main()
