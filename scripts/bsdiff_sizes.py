# SPDX-License-Identifier: MIT
"""What bsdiff makes of pairs of images, for comparison. It takes minutes, so sizes are kept by the digests of the two images.

bsdiff gets the images without their blocks of zeros: on a file system with much free space it would take hours, and its patch
is no smaller with them.
"""
import concurrent.futures
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import time


BLOCK = 4096


def dense(path, target):
    """A copy without blocks of zeros."""
    zeros = bytes(BLOCK)
    with open(path, "rb") as image, open(target, "wb") as out:
        while block := image.read(BLOCK):
            if block != zeros:
                out.write(block)
    return target


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Sizes:
    """get(old, new) after measure(pairs); `store` is a JSON file that need not exist."""

    def __init__(self, store):
        self.store = pathlib.Path(store)
        try:
            self.known = json.loads(self.store.read_text())
        except (OSError, ValueError):
            self.known = {}
        self.digests = {}

    def _key(self, old, new):
        for path in (old, new):
            if path not in self.digests:
                self.digests[path] = digest(path)
        return f"{self.digests[old]}-{self.digests[new]}"

    def missing(self, pairs):
        return [pair for pair in pairs if self._key(*pair) not in self.known]

    def get(self, old, new):
        return self.known[self._key(old, new)]["bytes"]

    def dates(self, pairs):
        return sorted({self.known[self._key(*pair)]["date"] for pair in pairs})

    def measure(self, pairs, report, started=lambda process: None):
        """Runs bsdiff on the pairs that are not known, largest first; report(old, new, bytes, seconds) as each is done."""
        pairs = sorted(self.missing(pairs), key=lambda pair: -pair[1].stat().st_size)
        with tempfile.TemporaryDirectory(prefix="dfota-bsdiff-") as folder:
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                jobs = {pool.submit(self._one, pair, pathlib.Path(folder) / str(i), started): pair
                        for i, pair in enumerate(pairs)}
                for job in concurrent.futures.as_completed(jobs):
                    size, seconds = job.result()
                    self.known[self._key(*jobs[job])] = {"bytes": size, "seconds": round(seconds, 1),
                                                         "date": datetime.date.today().isoformat()}
                    self._save()
                    report(*jobs[job], size, seconds)

    @staticmethod
    def _one(pair, patch, started):
        began = time.monotonic()
        pair = [dense(path, f"{patch}.{side}") for path, side in zip(pair, ("old", "new"))]
        process = subprocess.Popen(["bsdiff", *pair, patch], stdin=subprocess.DEVNULL)
        started(process)
        if process.wait():
            raise RuntimeError(f"bsdiff: exit {process.returncode}")
        return patch.stat().st_size, time.monotonic() - began

    def _save(self):
        staged = self.store.with_name(f".{self.store.name}.{os.getpid()}")
        staged.write_text(json.dumps(self.known, indent=1, sort_keys=True) + "\n")
        staged.replace(self.store)
