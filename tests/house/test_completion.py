#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The shell completes what the programs take: commands, and the options that each command's parser knows and its help tells.

usage: test_completion.py SOURCE_ROOT DFOTA DFOTAD
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT, DFOTA, DFOTAD = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(3))
COMMANDS = dict(re.findall(r'\{ "([a-z]+)", (cmd_[a-z]+)', (ROOT / "src/cli/main.c").read_text()))
SHARED = {"CHOOSE_OPTIONS": ROOT / "src/cli/choose.h"}
SHELL = """
source completions/dfota.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_dfota
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, folder=ROOT):
    script = SHELL.replace("completions/", f"{ROOT}/completions/")
    result = subprocess.run(["bash", "-c", script, "bash", *map(str, words)], capture_output=True, text=True, check=True, cwd=folder)
    return {line for line in result.stdout.splitlines() if line}


def parsed(function):
    """Long options of the getopt table in the file where a command is."""
    source = next(text for text in (path.read_text() for path in (ROOT / "src/cli").glob("cmd_*.c")) if f"int {function}(" in text)
    for name, path in SHARED.items():
        if name in source:
            source += path.read_text()
    return {f"--{name}" for name in re.findall(r'\{ "([a-z-]+)", (?:required|no)_argument', source)}


class Completion(unittest.TestCase):
    def test_commands(self):
        self.assertGreater(len(COMMANDS), 9)
        self.assertEqual(complete(DFOTA, ""), set(COMMANDS) | {"--help", "--version"})
        self.assertEqual(complete(DFOTA, "up"), {"upgrade"})

    def test_options(self):
        for command, function in COMMANDS.items():
            with self.subTest(command):
                known = parsed(function)
                found = complete(DFOTA, command, "--")
                self.assertLessEqual(found - {"--help"}, known)
                if command != "watch":  # its help names those of upgrade as a whole
                    self.assertEqual(known - found - {"--help"}, set())

    def test_the_daemon(self):
        found = complete(DFOTAD, "--")
        self.assertLessEqual({"--module", "--config"}, found)

    def test_files_and_folders(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("up.zip", "upper"):
                (pathlib.Path(folder) / name).mkdir() if name == "upper" else (pathlib.Path(folder) / name).touch()
            self.assertEqual(complete(DFOTA, "apply", "up", folder=folder), {"up.zip", "upper"})
            self.assertEqual(complete(DFOTA, "apply", "--firmware", "up", folder=folder), {"upper"})


if __name__ == "__main__":
    os.environ.pop("BASH_ENV", None)
    unittest.main(verbosity=2)
