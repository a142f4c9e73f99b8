# SPDX-License-Identifier: MIT
"""What the tests of downloads share: a folder that is served, a folder for the part, and the program that downloads."""
import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

SIZE = 1_500_001
DATA = random.Random(5).randbytes(SIZE)
OTHER = random.Random(6).randbytes(SIZE)
HALF = SIZE // 2
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where flushing takes no time


class Case(unittest.TestCase):
    program = None  # the test program fetch

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dfota-download-", dir=MEMORY)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.www = self.folder / "www"
        self.www.mkdir()
        self.put(DATA)
        (self.folder / "state").mkdir()
        self.part = self.folder / "state" / "download.part"
        self.meta = self.folder / "state" / "download.meta"

    def put(self, data, name="update.zip", age_s=1000):
        path = self.www / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (time.time() - age_s,) * 2)

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def together(self, function, rows):
        """function(case, row) for all rows at once, each with folders of its own: for what has to wait."""
        def one(row):
            case = type(self)(self._testMethodName)
            case.setUp()
            try:
                function(case, row)
            finally:
                case.doCleanups()
        with ThreadPoolExecutor(len(rows)) as pool:
            list(pool.map(one, rows))

    def run_fetch(self, url, environment=None, wrapper=(), **options):
        arguments = [f"{name}={value}" for name, value in options.items()]
        return subprocess.run([*wrapper, Case.program, url, self.part, self.meta, *arguments], capture_output=True, text=True,
                              timeout=60, env=environment)

    def fetch(self, url, expect="done", **options):
        result = self.run_fetch(url, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        ended = json.loads(result.stdout)
        self.assertEqual(ended["end"], expect, ended)
        if expect == "E_TRANSFER":
            self.assertNotEqual(ended["why"], "")
        return ended

    def whole(self, url, data=DATA, **options):
        ended = self.fetch(url, **options)
        self.assertEqual(ended["bytes"], len(data))
        self.assertTrue(self.part.read_bytes() == data, "the file differs")
        return ended

    def killed(self, url, at=HALF, **options):
        """A power cut in the middle; returns how many bytes were there."""
        result = self.run_fetch(url, kill_at=at, **options)
        self.assertEqual(result.returncode, -signal.SIGKILL, result.stdout + result.stderr)
        return self.part.stat().st_size

    def refused(self, url, expect="E_TRANSFER", **options):
        """Ends with an error, and no file that could be taken for whole is left."""
        ended = self.fetch(url, expect, **options)
        self.assertEqual(ended["bytes"], -1)
        return ended

    def removed(self):
        self.assertEqual(list(self.part.parent.iterdir()), [])

    def durable(self):
        """What the note vouches for."""
        return int(self.meta.read_text().split("\ndurable ")[1].split("\n")[0])
