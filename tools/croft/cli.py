"""The command line: the commands, their help, and which parts each uses. Those that boot a guest have
their options in run_options.py."""

import argparse
import pathlib
import sys

from . import build, guests, hostile, lint, paths, progress, run, run_options, suite
from .randomtest import command as randomtest, runner
from .randomtest.generator import MODES
from .errors import CroftError

OVERVIEW = """\
Undercroft runs an unmodified 32-bit x86 kernel at ring 3, on a bare machine without VT-x or SVM.

The two commands to begin with:
  ./croft run       builds the image, fetches a Debian kernel, boots it under Undercroft in QEMU
  ./croft test      builds everything and runs the tests
"""
FORM = argparse.RawDescriptionHelpFormatter


class Parser(argparse.ArgumentParser):
    """One that says in a line what is wrong, instead of printing all that would be right."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n./{self.prog} --help tells what can be typed\n")


def count(text):
    """A whole number, more than 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def modes(text):
    """Names of the random tester's modes, with commas between."""
    wrong = set(text.split(",")) - set(MODES)
    if wrong:
        raise argparse.ArgumentTypeError(f"{' '.join(sorted(wrong))}: there are {', '.join(MODES)}")
    return tuple(text.split(","))


def engines(text):
    """Names of the random tester's engines, with commas between."""
    wrong = set(text.split(",")) - set(runner.ENGINES)
    if wrong:
        raise argparse.ArgumentTypeError(f"{' '.join(sorted(wrong))}: there are "
                                         f"{', '.join(runner.ENGINES)}")
    return text


def _add_guest_commands(commands):
    boot = commands.add_parser("run", help="boot a guest under Undercroft in QEMU",
                               description=run_options.TEXT, epilog=run_options.EXAMPLES,
                               formatter_class=FORM)
    run_options.add_guest(boot)
    run_options.add_run(boot)
    boot.set_defaults(action=run.do_run, parser=boot)

    iso = commands.add_parser("iso", help="write a bootable image", formatter_class=FORM,
                              description="Writes an image that boots GUEST under Undercroft by "
                              "BIOS and by UEFI (32 and 64\nbits), from a CD or from a USB stick "
                              "that it is written to by dd.")
    iso.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("undercroft.iso"),
                     metavar="FILE", help="default undercroft.iso")
    run_options.add_guest(iso)
    iso.add_argument("--no-build", action="store_true", help="take build/undercroft.elf as it is")
    iso.set_defaults(action=run.do_iso, parser=iso)

    catalogue = commands.add_parser("guests", help="list the guests",
                                    description="Lists the guests that run takes by name.")
    catalogue.set_defaults(action=do_guests, parser=catalogue)

    fetch = commands.add_parser("fetch", help="fetch guests from Debian",
                                description="Fetches guests into cache/ (default: linux). run does "
                                "so by itself when it needs one.")
    fetch.add_argument("names", nargs="*", metavar="GUEST")
    fetch.add_argument("--fresh", action="store_true", help="look for a newer version")
    fetch.set_defaults(action=do_fetch, parser=fetch)


def _add_tree_commands(commands):
    make = commands.add_parser("build", help="build the image",
                               description="Builds build/undercroft.elf (preset default).")
    make.set_defaults(action=do_build, parser=make)

    test = commands.add_parser("test", help="build everything and run the tests",
                               description=suite.__doc__, formatter_class=FORM)
    test.add_argument("--all", action="store_true", help="the long ones too")
    test.add_argument("--select", default="", metavar="WORDS",
                      help="only boot tests that pytest's -k WORDS selects")
    test.add_argument("--random", type=count, metavar="N",
                      help="instead: N random sequences, bare and hosted (docs/testing.md)")
    test.add_argument("--seed", default="1",
                      help="of --random (any words) and --hostile (a number); default 1")
    test.add_argument("--engines", default="translate,interpret", type=engines, metavar="NAMES",
                      help="of --random (default translate,interpret; there is guard too)")
    test.add_argument("--until-mismatch", action="store_true",
                      help="of --random: stop at the first, keep nothing")
    test.add_argument("--modes", default=tuple(MODES), type=modes, metavar="NAMES",
                      help="of --random: how sequences start: in 32-bit or 16-bit segments, in V86 mode")
    test.add_argument("--emulator", choices=["qemu", "bochs"], default="qemu",
                      help="of --random (default qemu)")
    test.add_argument("--hostile", type=run_options.positive, metavar="MINUTES",
                      help="instead: hostile guests for so long (docs/resource-control.md)")
    test.set_defaults(action=do_test, parser=test)

    check = commands.add_parser("lint", help="check format and reading order",
                                description=lint.__doc__, formatter_class=FORM)
    check.add_argument("--fix", action="store_true", help="format the sources in place")
    check.add_argument("--tidy", action="store_true", help="clang-tidy too (slow)")
    check.set_defaults(action=do_lint, parser=check)


def _parser():
    parser = Parser(prog="croft", description=OVERVIEW, formatter_class=FORM,
                    epilog="./croft COMMAND --help tells more of each.")
    commands = parser.add_subparsers(metavar="COMMAND")
    parser.set_defaults(action=lambda _: parser.print_help() or 2, parser=parser)
    _add_guest_commands(commands)
    _add_tree_commands(commands)
    return parser


def do_build(_options):
    build.image()
    progress.say(f"{paths.IMAGE.relative_to(paths.ROOT)} is up to date")
    return 0


def do_test(options):
    if options.random is not None:
        return randomtest.run(options.random, options.seed, options.engines, options.emulator,
                              options.until_mismatch, options.modes)
    if options.hostile is not None:
        if not options.seed.isdecimal():
            options.parser.error(f"argument --seed: {options.seed!r} is not a number")
        return hostile.run(options.hostile, int(options.seed))
    return suite.run(options.all, options.select)


def do_lint(options):
    return lint.run(options.fix, options.tidy)


def do_guests(_options):
    for guest in guests.catalogue().values():
        print(f"{guest.name:16} {guest.what}\n{'':16} from {guest.source}; {guest.state()}")
    return 0


def do_fetch(options):
    for name in options.names or ["linux"]:
        guest = guests.find(name)
        guest.fetch(options.fresh)
        progress.say(f"{name}: {guest.state()}")
    return 0


def main(words):
    options, unknown = _parser().parse_known_args(words)
    if unknown:
        options.parser.error(f"unknown: {' '.join(unknown)}")
    try:
        return options.action(options)
    except CroftError as error:
        progress.say(f"error: {error}")
        if error.hint:
            progress.say(error.hint)
        return error.status
    except KeyboardInterrupt:
        progress.say("interrupted")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
