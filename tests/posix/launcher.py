#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The launcher: what it hands on, what it refuses, what it says.

    launcher.py --weft WEFT --cc CC --version 1.2.3 [unittest's arguments]

The launcher is copied into a folder of its own, beside a shared object that
stands for libweft_posix.so and exports one function, so that a program can say
whether it has been loaded.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

OPTIONS = None
THREADS = pathlib.Path(__file__).resolve().parents[1] / "package" / "threads.c"
LIBRARY = "libweft_posix.so"
LIMIT = 200  # seconds that any one program may take
NOBODY = 65534
CAPABILITIES = "security.capability"

# What a program finds when it runs: it is told by what it prints.
LOOK = """
import ctypes, json, os, sys
print(json.dumps({
    "pid": os.getpid(),
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "loaded": hasattr(ctypes.CDLL(None), "stands_in"),
    "descriptors": sorted(os.listdir("/proc/self/fd")),
}))
"""

temporary = top = weft = library = None


def compile_c(text, name, *flags):
    out = top / name
    subprocess.run([OPTIONS.cc, "-x", "c", "-", "-o", out, *flags],
                   input=text, text=True, check=True)
    return out


def setUpModule():
    global temporary, top, weft, library
    temporary = tempfile.TemporaryDirectory()
    top = pathlib.Path(temporary.name).resolve()
    top.chmod(0o755)  # for another user
    library = compile_c("void stands_in(void) {}", LIBRARY, "-shared", "-fPIC")
    weft = top / "weft"
    shutil.copy(OPTIONS.weft, weft)
    compile_c("int main(void) { return 7; }", "seven")
    for name in list(os.environ):
        if name.startswith(("LD_", "WEFT_")):
            del os.environ[name]


def tearDownModule():
    temporary.cleanup()


def native_order():
    return "<" if sys.byteorder == "little" else ">"


def nobody():
    """Be another user, from here on."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


class Launcher(unittest.TestCase):
    """A test has a folder of its own, `here`."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=str(top))
        self.addCleanup(folder.cleanup)
        self.here = pathlib.Path(folder.name)
        self.here.chmod(0o755)

    def run_weft(self, *arguments, environment=None, launcher=None, **options):
        return subprocess.run(
            [launcher or weft, *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env={**os.environ, **(environment or {})}, timeout=LIMIT,
            **options)

    def look(self, *options, arguments=(), **others):
        """What a program sees that is run with these options."""
        return self.seen(self.run_weft(
            *options, sys.executable, "-c", LOOK, *arguments, **others))

    def seen(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def assert_ends(self, done, status, said):
        """It ended by itself, and said so: one pattern for all of stderr."""
        self.assertRegex(done.stderr, r"\Aweft: %s\Z" % said)
        self.assertEqual((done.returncode, done.stdout), (status, ""))

    def assert_refused(self, command, said, **options):
        done = self.run_weft(command, **options)
        self.assert_ends(done, 126, r"%s %s\n" % (re.escape(str(command)),
                                                  said))

    def write(self, name, text, mode=0o755):
        path = self.here / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def copy(self, name, mode=0o755):
        path = self.here / name
        shutil.copy(top / "seven", path)
        path.chmod(mode)
        return path


class Handing(Launcher):
    """What goes through."""

    def test_the_library_beside_the_launcher_is_loaded(self):
        seen = self.look()
        self.assertTrue(seen["loaded"])
        self.assertEqual(seen["environment"]["LD_PRELOAD"], str(library))

    def test_the_launcher_may_be_a_link_to_it(self):
        link = self.here / "weft"
        link.symlink_to(weft)
        self.assertTrue(self.look(launcher=link)["loaded"])

    def test_without_options_nothing_else_is_set(self):
        seen = self.look(environment={"OTHER": "of the caller"})
        del seen["environment"]["LD_PRELOAD"]
        self.assertEqual(seen["environment"],
                         {**os.environ, "OTHER": "of the caller"})

    def test_the_exit_status_is_the_programs(self):
        for status in 0, 1, 77, 125, 126, 127, 255:
            done = self.run_weft("sh", "-c", "exit %d" % status)
            self.assertEqual((done.returncode, done.stderr), (status, ""))

    def test_the_program_dies_of_its_signal(self):
        for number in signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV:
            done = self.run_weft("sh", "-c", "kill -%d $$" % number)
            self.assertEqual(done.returncode, -number)

    def test_the_program_has_the_pid_that_was_started(self):
        with subprocess.Popen([weft, sys.executable, "-c", LOOK],
                              stdout=subprocess.PIPE) as started:
            self.assertEqual(json.load(started.stdout)["pid"], started.pid)

    def test_a_signal_reaches_the_program(self):
        text = "trap 'exit 42' USR1; echo ready; while :; do read x; done"
        with subprocess.Popen([weft, "sh", "-c", text], text=True,
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as started:
            self.assertEqual(started.stdout.readline(), "ready\n")
            started.send_signal(signal.SIGUSR1)
            started.stdin.close()
            self.assertEqual(started.wait(LIMIT), 42)

    def test_signals_stay_ignored_and_blocked(self):
        def ignore():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        done = self.run_weft("grep", "-E", "^Sig(Blk|Ign)",
                             "/proc/self/status", preexec_fn=ignore)
        blocked, ignored = (int(mask, 16) for mask
                            in re.findall(r"\t(\w+)$", done.stdout, re.M))
        self.assertEqual(blocked, 1 << signal.SIGUSR2 - 1)
        self.assertTrue(ignored & 1 << signal.SIGHUP - 1)

    def test_arguments_are_untouched(self):
        arguments = ["", " a  b ", "--", "--help", "--workers", "$HOME", "*",
                     "new\nline", os.fsdecode(b"\xff\xfe"), "-"]
        self.assertEqual(self.look(arguments=arguments)["arguments"],
                         arguments)

    def test_a_program_is_called_as_it_was_typed(self):
        for name in "sh", shutil.which("sh"):
            done = self.run_weft(name, "-c", "echo $0")
            self.assertEqual(done.stdout, name + "\n")

    def test_no_descriptor_is_left_open(self):
        alone = self.seen(subprocess.run(
            [sys.executable, "-c", LOOK], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        self.assertEqual(self.look()["descriptors"], alone["descriptors"])

    def test_what_the_program_starts_has_the_library_too(self):
        done = self.run_weft("sh", "-c", '"$@"; exit $?', "sh",
                             sys.executable, "-c", LOOK)
        self.assertTrue(self.seen(done)["loaded"])


class Options(Launcher):
    def variables(self, *options, **environment):
        seen = self.look(*options, environment=environment)
        return {name: value for name, value in seen["environment"].items()
                if name.startswith("WEFT_")}

    def test_each_sets_its_variable(self):
        self.assertEqual(
            self.variables("--workers", "3", "--stack=256K", "--stats",
                           "--trace-blocking"),
            {"WEFT_WORKERS": "3", "WEFT_STACK": "256K", "WEFT_STATS": "1",
             "WEFT_TRACE_BLOCKING": "1"})

    def test_a_variable_of_the_caller_is_handed_on(self):
        self.assertEqual(
            self.variables(WEFT_WORKERS="5", WEFT_DISABLE="1"),
            {"WEFT_WORKERS": "5", "WEFT_DISABLE": "1"})

    def test_an_option_overrides_its_variable(self):
        self.assertEqual(self.variables("--workers", "3", WEFT_WORKERS="5"),
                         {"WEFT_WORKERS": "3"})

    def test_of_two_the_last_is_in_force(self):
        self.assertEqual(self.variables("--workers", "3", "--workers", "4"),
                         {"WEFT_WORKERS": "4"})

    def test_workers_are_a_number_in_their_range(self):
        for text in "1", "256":
            self.assertEqual(self.variables("--workers", text),
                             {"WEFT_WORKERS": text})
        for text in ("0", "257", "-1", "+1", "", " 1", "1 ", "x", "1.5", "1K",
                     "0x10", "1" * 30):
            self.assert_ends(
                self.run_weft("--workers", text, "true"), 125,
                "--workers %s: not a number from 1 to 256\n" % re.escape(text))

    def test_a_stack_is_a_size_in_its_range(self):
        for text in "16384", "16K", "16k", "64M", "1m", "67108864":
            self.assertEqual(self.variables("--stack", text),
                             {"WEFT_STACK": text})
        for text in ("16383", "15K", "65M", "67108865", "0", "", "K", "-16K",
                     "1G", "16KK", "16KB", "16K ", "1.5M", "9" * 30,
                     "17592186044416M"):
            self.assert_ends(
                self.run_weft("--stack", text, "true"), 125,
                "--stack %s: not a size from 16K to 64M\n" % re.escape(text))

    def assert_usage(self, done, said):
        self.assert_ends(done, 125,
                         said + r"\nusage: .*\nTry 'weft --help'.\n")

    def test_an_unknown_one_is_named(self):
        self.assert_usage(self.run_weft("--fast", "true"),
                          "unrecognized option '--fast'")
        self.assert_usage(self.run_weft("-x", "true"), "invalid option -- 'x'")

    def test_a_missing_value_is_said(self):
        self.assert_usage(self.run_weft("--workers"),
                          "option '--workers' requires an argument")

    def test_a_value_too_many_is_said(self):
        self.assert_usage(self.run_weft("--stats=2", "true"),
                          "option '--stats' doesn't allow an argument")

    def test_a_command_has_to_be_given(self):
        for arguments in [], ["--stats"], ["--"]:
            self.assert_usage(self.run_weft(*arguments), "no command")

    def test_they_end_at_the_command(self):
        done = self.run_weft("--workers", "2", "echo", "--workers", "--help")
        self.assertEqual(done.stdout, "--workers --help\n")

    def test_they_end_at_two_dashes(self):
        name = self.copy("--version")
        done = self.run_weft("--", name.name,
                             environment={"PATH": str(self.here)})
        self.assertEqual(done.returncode, 7)

    def test_help_names_every_option_and_variable(self):
        done = self.run_weft("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ("--workers N", "--stack SIZE", "--stats", "--help",
                     "--trace-blocking", "--version", "WEFT_WORKERS=",
                     "WEFT_STACK=", "WEFT_STATS=1", "WEFT_DISABLE=1",
                     "WEFT_TRACE_BLOCKING=1", "LD_PRELOAD", "inherit",
                     "SIGUSR2", " 125 ", " 126 ", " 127 ", "#!", LIBRARY):
            self.assertIn(word, done.stdout)
        self.assertLess(max(map(len, done.stdout.splitlines())), 80)

    def test_help_needs_neither_command_nor_library(self):
        alone = self.here / "weft"
        shutil.copy(weft, alone)
        self.assertEqual(self.run_weft("--help", launcher=alone).returncode, 0)

    def test_version_is_that_of_the_headers(self):
        done = self.run_weft("--version")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "weft %s\n" % OPTIONS.version, ""))

    def test_what_could_not_be_written_is_a_failure(self):
        for option in "--help", "--version":
            with open("/dev/full", "w") as full:
                done = subprocess.run([weft, option], stdout=full, text=True,
                                      stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 125)
            self.assertRegex(done.stderr, "^weft: .*No space left")


class Search(Launcher):
    """From a name to a file."""

    def search(self, *folders, name="command", **options):
        path = ":".join(str(self.here / folder) for folder in folders)
        return self.run_weft(name, environment={"PATH": path}, **options)

    def fill(self, folder, mode=0o755):
        (self.here / folder).mkdir()
        return self.copy(folder + "/command", mode)

    def test_path_is_searched_in_order(self):
        self.fill("second")
        (self.here / "first").mkdir()
        self.assertEqual(self.search("first", "second").returncode, 7)
        self.write("first/command", "#!/bin/sh\nexit 8\n")
        self.assertEqual(self.search("first", "second").returncode, 8)

    def test_what_is_no_program_is_passed_over(self):
        self.fill("plain", mode=0o644)
        (self.here / "folder" / "command").mkdir(parents=True)
        self.fill("good")
        done = self.search("none", "plain", "folder", "good")
        self.assertEqual((done.returncode, done.stderr), (7, ""))

    def test_an_empty_folder_is_the_current_one(self):
        self.copy("command")
        for path in "", ":/none", "/none:", "/none::/none":
            done = self.run_weft("command", environment={"PATH": path},
                                 cwd=self.here)
            self.assertEqual(done.returncode, 7)

    def test_a_script_found_there_is_told_its_path(self):
        script = self.write("command", "#!/bin/sh\necho $0\n")
        self.assertEqual(self.search(".").stdout,
                         str(self.here / "." / script.name) + "\n")

    def test_without_path_there_is_a_default(self):
        environment = {**os.environ}
        del environment["PATH"]
        done = subprocess.run([weft, "sh", "-c", "exit 9"], env=environment)
        self.assertEqual(done.returncode, 9)

    def test_a_slash_is_not_searched_for(self):
        self.fill("folder")
        self.assert_ends(self.search(".", name="folder/command"), 127,
                         "folder/command: No such file or directory\n")
        done = self.search("none", name="folder/command", cwd=self.here)
        self.assertEqual(done.returncode, 7)

    def test_what_is_nowhere_is_not_found(self):
        for name in "command", "", "x" * 300, "x" * 5000, "./none":
            done = self.search("none", ".", name=name)
            self.assertEqual(done.returncode, 127, done.stderr)
            self.assertRegex(done.stderr, r"\Aweft: %s: No such file" % name)

    def test_one_that_may_not_be_executed_is_found(self):
        self.fill("plain", mode=0o644)
        self.assert_ends(self.search("none", "plain", "."), 126,
                         "command: Permission denied\n")

    def test_a_name_may_be_too_long(self):
        for length in 300, 5000:
            done = self.search(".", name="./" + "x" * length)
            self.assertEqual(done.returncode, 126)
            self.assertIn("File name too long", done.stderr)

    def test_a_folder_may_be_too_long(self):
        self.fill("good")
        self.assertEqual(self.search("x" * 5000, "good").returncode, 7)


class Scripts(Launcher):
    def script(self, text, *arguments, name="script"):
        return self.run_weft(self.write(name, text), *arguments)

    def test_the_interpreter_and_what_it_starts_have_the_library(self):
        done = self.script("#!%s\n%s" % (sys.executable, LOOK))
        self.assertTrue(self.seen(done)["loaded"])
        done = self.script('#!/bin/sh\nexec "$@"\n', sys.executable, "-c",
                           LOOK)
        self.assertTrue(self.seen(done)["loaded"])

    def test_a_script_gets_its_arguments(self):
        done = self.script("#! \t/bin/sh -u\necho $0 $# $-\n", "a b", "")
        self.assertRegex(done.stdout, r"\A%s/script 2 \w*u\w*\n\Z" % self.here)

    def test_a_first_line_needs_no_end(self):
        done = self.script("#!" + str(top / "seven"))
        self.assertEqual(done.returncode, 7)

    def test_without_a_first_line_the_shell_runs_it(self):
        for text in "exit 6", "#!\nexit 6", "#! \nexit 6", "# !x\nexit 6":
            self.assertEqual(self.script(text).returncode, 6, text)
        self.assertEqual(self.script("").returncode, 0)

    def test_a_name_that_the_kernel_cuts_is_none(self):
        for length in 253, 254, 400:
            text = "#!/%s\nexit 6\n" % ("x" * length)
            self.assertEqual(self.script(text).returncode, 6)

    def test_a_name_that_just_fits_is_one(self):
        setuid = self.copy("setuid", 0o4755)
        name = "/" * (253 - len(str(setuid))) + str(setuid)
        self.refuse_interpreter(name, "is setuid.*", "")

    def test_an_interpreter_may_be_a_script(self):
        last = "#!/bin/sh\nexit 5\n"
        for depth in range(3):
            path = self.write("script%d" % depth, last)
            self.assertEqual(self.run_weft(path).returncode, 5)
            last = "#!%s\n" % path

    def test_but_not_without_end(self):
        path = self.here / "script"
        self.assert_ends(self.script("#!%s\n" % path), 126,
                         "%s: too many interpreters\n" % path)

    def refuse_interpreter(self, path, said, argument=" -x"):
        self.assert_ends(
            self.script("#!%s%s\n" % (path, argument)), 126,
            r"%s/script: its interpreter %s %s\n" % (self.here, path, said))

    def test_the_interpreter_has_to_be_there(self):
        self.refuse_interpreter("/no/such/thing",
                                "cannot be run: No such file or directory")

    def test_the_interpreter_is_what_is_refused(self):
        self.refuse_interpreter(self.copy("setuid", 0o4755),
                                "is setuid: nothing can be preloaded into it")

    def test_a_setuid_script_is_no_setuid_program(self):
        self.assertEqual(
            self.run_weft(self.write("script", "#!/bin/sh\nexit 5\n",
                                     0o4755)).returncode, 5)


class Refusals(Launcher):
    """Files into which nothing would be loaded."""

    NOTHING = ": nothing can be preloaded into it"

    def compiled(self, *flags):
        return compile_c("int main(void) { return 7; }",
                         str(self.here / "program"), *flags)

    def header(self, bits=64, order=None, machine=None, kind=2):
        """An ELF header as it is on another machine, with nothing behind."""
        own = struct.unpack_from("=16sHH", library.read_bytes())
        order = order or native_order()
        ident = b"\x7fELF" + bytes([1 if bits == 32 else 2,
                                    1 if order == "<" else 2, 1]) + bytes(9)
        word = "I" if bits == 32 else "Q"
        head = struct.Struct(order + "16sHHI3" + word + "I6H")
        return self.write("program", head.pack(
            ident, kind, own[2] if machine is None else machine, 1, 0, 0, 0,
            0, head.size, 0, 0, 0, 0, 0))

    def test_statically_linked(self):
        for flags in ["-static"], ["-static-pie", "-fPIE"]:
            self.assert_refused(self.compiled(*flags),
                                "is statically linked" + self.NOTHING)

    def test_setuid(self):
        self.assert_refused(self.copy("program", 0o4755),
                            "is setuid" + self.NOTHING)

    def test_setgid(self):
        self.assert_refused(self.copy("program", 0o2755),
                            "is setgid" + self.NOTHING)

    def test_setgid_is_nothing_without_executing_by_the_group(self):
        self.assertEqual(self.run_weft(self.copy("program", 0o2745))
                         .returncode, 7)

    def test_capabilities(self):
        program = self.copy("program")
        bind = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
        try:
            os.setxattr(program, CAPABILITIES, bind)
        except OSError as error:
            self.skipTest("setting %s: %s" % (CAPABILITIES, error))
        self.assert_refused(program, "has file capabilities" + self.NOTHING)
        os.removexattr(program, CAPABILITIES)
        self.assertEqual(self.run_weft(program).returncode, 7)

    def test_32_bits(self):
        self.assert_refused(
            self.header(bits=32),
            "is a 32-bit program, and libweft_posix.so is not")
        self.assert_refused(
            self.header(bits=32, machine=3),
            "is a 32-bit program, and libweft_posix.so is not")

    def test_another_machine(self):
        said = "is a program for another kind of machine"
        self.assert_refused(self.header(machine=8), said)
        machine = library.read_bytes()[18:20]
        for order, name in ("<", "little"), (">", "big"):
            if order != native_order():
                self.assert_refused(self.header(
                    order=order, machine=int.from_bytes(machine, name)), said)

    def test_musl(self):
        for name in "ld-musl-x86_64.so.1", "ld-musl-aarch64.so.1":
            self.assert_refused(
                self.compiled("-Wl,--dynamic-linker=/lib/" + name),
                "uses musl: libweft_posix.so needs the GNU C library, .*")

    def test_a_loader_that_is_not_there(self):
        self.assert_refused(
            self.compiled("-Wl,--dynamic-linker=/no/such/ld.so"),
            "needs /no/such/ld.so: No such file or directory")

    def test_unreadable(self):
        program = self.copy("program", 0o711)
        options = {"preexec_fn": nobody}
        if os.geteuid() != 0:
            program.chmod(0o111)
            options = {}
        self.assert_refused(program, "cannot be read: Permission denied",
                            **options)
        program.chmod(0o755)
        self.assertEqual(self.run_weft(program, **options).returncode, 7)

    def test_an_unreadable_script(self):
        script = self.write("script", "#!/bin/sh\n", 0o711)
        options = {"preexec_fn": nobody}
        if os.geteuid() != 0:
            script.chmod(0o111)
            options = {}
        self.assert_refused(script, "cannot be read: Permission denied",
                            **options)

    def test_not_executable(self):
        self.assert_refused(self.copy("program", 0o644),
                            "cannot be run: Permission denied")

    def test_no_file(self):
        self.assert_refused(self.here, "is a directory")
        fifo = self.here / "fifo"
        os.mkfifo(fifo, 0o755)
        self.assert_refused(fifo, "is not a program")
        self.assert_refused("/dev/null", "is not a program")

    def test_an_elf_file_that_is_no_program(self):
        module = self.compiled("-c")
        module.chmod(0o755)
        self.assert_refused(module, "is an ELF file, but no program")

    @staticmethod
    def loader_part(whole):
        """Where in a 64-bit file the part is that says where its name is."""
        first, = struct.unpack_from("=Q", whole, 32)
        size, count = struct.unpack_from("=HH", whole, 54)
        return next(at for at in range(first, first + size * count, size)
                    if struct.unpack_from("=I", whole, at) == (3,))

    def test_a_damaged_elf_file(self):
        whole = (top / "seven").read_bytes()
        loader = whole.index(b"/ld-") + 4
        part = self.loader_part(whole)
        for damaged in (
                *(whole[:part + 32] + struct.pack("=Q", size)
                  + whole[part + 40:]                   # of no good size
                  for size in (0, 1, 9, 1 << 20, 1 << 63)),
                whole[:4], whole[:16], whole[:40], whole[:64], whole[:70],
                whole[:loader],                         # its name is cut
                whole[:4] + b"\x07" + whole[5:],        # no such class
                whole[:32] + b"\xff" * 8 + whole[40:],  # parts nowhere
                whole[:54] + b"\x07" + whole[55:]):     # of another size
            self.assert_refused(self.write("program", damaged),
                                "is a damaged ELF file")

    def test_a_folder_on_the_way_that_is_no_folder(self):
        path = self.copy("program") / "below"
        self.assert_ends(self.run_weft(path), 126,
                         "%s: Not a directory\n" % path)


class Library(Launcher):
    """libweft_posix.so, and what LD_PRELOAD has besides."""

    def install(self, launcher_in, library_in=None):
        launcher = self.here / launcher_in / "weft"
        launcher.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(weft, launcher)
        if library_in:
            folder = launcher.parent / library_in
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, folder)
        return launcher

    def folder(self):
        """Where it is installed, seen from the launcher."""
        found = re.search(r"then in the folder\s+(\S+) from there",
                          self.run_weft("--help").stdout)
        return found[1]

    def preloaded(self, launcher, *others, **environment):
        seen = self.look(launcher=launcher, environment=environment)
        self.assertTrue(seen["loaded"])
        return seen["environment"]["LD_PRELOAD"]

    def test_it_is_found_where_it_is_installed(self):
        launcher = self.install("prefix/bin", self.folder())
        self.assertEqual(
            self.preloaded(launcher),
            os.path.realpath(launcher.parent / self.folder() / LIBRARY))

    def test_that_beside_the_launcher_comes_first(self):
        launcher = self.install("prefix/bin", self.folder())
        shutil.copy(library, launcher.parent)
        self.assertEqual(self.preloaded(launcher),
                         str(launcher.parent / LIBRARY))

    def test_its_absence_is_said(self):
        launcher = self.install("bin")
        self.assert_ends(
            self.run_weft("true", launcher=launcher), 125,
            "%s is neither in %s nor in %s\n" % (
                LIBRARY, launcher.parent, launcher.parent / self.folder()))

    def test_it_has_to_be_a_library(self):
        launcher = self.install("bin")
        (launcher.parent / LIBRARY).write_text("INPUT(libweft.so)\n")
        self.assert_ends(self.run_weft("true", launcher=launcher), 125,
                         "%s: Exec format error\n"
                         % (launcher.parent / LIBRARY))

    def test_a_name_that_cannot_be_preloaded_is_said(self):
        for name in "a b", "a:b", "a$b":
            launcher = self.install(name, ".")
            self.assert_ends(self.run_weft("true", launcher=launcher), 125,
                             "%s: LD_PRELOAD cannot name what has .*\n"
                             % re.escape(str(launcher.parent / LIBRARY)))

    def other(self, name):
        return str(compile_c("", str(self.here / name), "-shared", "-fPIC"))

    def test_what_is_preloaded_already_stays_before_it(self):
        one, two = self.other("one.so"), self.other("two.so")
        for old in one + ":" + two, one + " " + two, ":" + one + ": " + two:
            self.assertEqual(self.preloaded(weft, LD_PRELOAD=old),
                             "%s:%s:%s" % (one, two, library))

    def test_an_empty_list_is_none(self):
        self.assertEqual(self.preloaded(weft, LD_PRELOAD=""), str(library))

    def test_it_is_there_once(self):
        one = self.other("one.so")
        self.assertEqual(
            self.preloaded(weft, LD_PRELOAD="%s:%s" % (library, one)),
            "%s:%s" % (one, library))
        seen = self.seen(self.run_weft(weft, sys.executable, "-c", LOOK))
        self.assertEqual(seen["environment"]["LD_PRELOAD"], str(library))

    def test_that_of_another_launcher_gives_way(self):
        launcher = self.install("bin", ".")
        seen = self.seen(self.run_weft(launcher, weft, sys.executable, "-c",
                                       LOOK))
        self.assertEqual(seen["environment"]["LD_PRELOAD"], str(library))


class Threads(unittest.TestCase):
    """The launcher as it was built, with the library that it is for."""

    # Something of a sanitizer's runs before libc is ready.
    EARLY = """
        #include <pthread.h>
        static pthread_key_t key;
        static void early(void) { pthread_key_create(&key, NULL); }
        __attribute__((section(".preinit_array"), used))
        static void (*const first)(void) = early;
    """

    MOST = 24  # threads of the kernel's, if fifty and one are fibers

    def count(self, program, *options, **environment):
        """How many threads of its fifty and one the kernel knows."""
        most = [] if "WEFT_DISABLE" in environment else [str(self.MOST)]
        done = subprocess.run(
            [OPTIONS.weft, *options, program, *most], stdout=subprocess.PIPE,
            text=True, env={**os.environ, **environment}, timeout=LIMIT)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout,
                         r"\A50 threads, \d+ known to the kernel$")
        return int(done.stdout.split()[2])

    def test_they_become_fibers(self):
        program = compile_c("", "threads", "-pthread", THREADS)
        for workers in "1", "2", "4":
            self.assertLessEqual(self.count(program, "--workers", workers),
                                 self.MOST)

    def test_so_they_do_under_a_sanitizer(self):
        try:
            program = compile_c("", "sanitized", "-pthread", THREADS,
                                "-fsanitize=address")
        except subprocess.CalledProcessError:
            self.skipTest("AddressSanitizer is not installed")
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}
        if re.search(rb"\0libasan\.so\.\d+\0", program.read_bytes()):
            environment["LD_PRELOAD"] = subprocess.check_output(
                [OPTIONS.cc, "-print-file-name=libasan.so"], text=True).strip()
        self.assertLessEqual(
            self.count(program, "--workers", "2", **environment), self.MOST)

    def test_they_stay_threads_if_it_is_disabled(self):
        program = compile_c("", "threads", "-pthread", THREADS)
        self.assertEqual(self.count(program, WEFT_DISABLE="1"), 51)

    def test_they_stay_threads_if_go_would_interrupt_them(self):
        program = compile_c("void _cgo_topofstack(void) {}", "threads",
                            "-pthread", THREADS, "-rdynamic")
        done = subprocess.run([OPTIONS.weft, program], text=True,
                              capture_output=True, timeout=LIMIT)
        self.assertEqual((done.stdout, done.stderr), (
            "50 threads, 51 known to the kernel\n",
            "weft: the program has Go in it: its threads stay threads\n"))

    def test_that_is_known_however_early_it_is_asked(self):
        program = compile_c(self.EARLY, "early", "-pthread", THREADS)
        self.assertEqual(self.count(program, WEFT_DISABLE="1"), 51)


def main():
    global OPTIONS
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--cc", required=True)
    parser.add_argument("--version", required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)


if __name__ == "__main__":
    main()
