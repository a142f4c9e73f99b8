#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Packages that were made once install for ever, and mean what the documents say.

Those of this folder and one that is made now go through `dfota apply` and through decode.py, which knows only the documents.

usage: test_compat.py DFOTA
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import decode
import images

HERE = pathlib.Path(__file__).resolve().parent
DFOTA = sys.argv.pop(1)
MADE = sorted(HERE.glob("*.zip"))


def dfota(*arguments):
    done = subprocess.run([DFOTA, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise AssertionError(f"{arguments}: {done.stderr}")


class Compat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.images = images.images()
        sys.argv[1:] = [str(cls.folder)]
        images.main()

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def apply(self, package, old, new, trust):
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            work = pathlib.Path(name) / "firmware"
            shutil.copytree(self.folder / old, work)
            dfota("apply", package, "--firmware", work, "--trust", trust)
            for partition, data in self.images[new].items():
                self.assertEqual((work / f"{partition}.img").read_bytes(), data, partition)

    def decode(self, package, old, new):
        codings, names = set(), set()
        for name, data, used in decode.decode_package(package, self.folder / old):
            self.assertEqual(data, self.images[new][name], name)
            codings |= used
            names.add(name)
        self.assertEqual(names, set(self.images[new]))
        return codings

    def test_packages_made_once(self):
        self.assertGreaterEqual(len(MADE), 2)
        codings = set()
        for package in MADE:
            old, new = package.stem.split("-")[:2]
            with self.subTest(package=package.name):
                self.apply(package, old, new, HERE / "trust.pub")
                codings |= self.decode(package, old, new)
        self.assertEqual(codings, {0, 1, 2})

    def test_package_made_now(self):
        dfota("keygen", self.folder / "now")
        for old, new in (("v1", "v2"), ("v2", "v1")):
            package = self.folder / f"{old}-{new}.zip"
            dfota("pack", self.folder / old, self.folder / new, "-o", package, "--key", self.folder / "now.key",
                  "--segment", "512")
            self.decode(package, old, new)
            self.check_symbols(package)
            self.check_tree(package)
            self.check_tables(package)

    def check_symbols(self, package):
        """The kernel's table has been understood: hardly any of its names is sent."""
        partition, = [p for p in decode.manifest(package)["partitions"] if p["name"] == "names"]
        self.assertGreater(partition["stats"]["prelude"][3], 100)
        self.assertLess(partition["delta"]["bytes"], partition["new"]["bytes"] // 40)

    def check_tree(self, package):
        """Programs that start at any byte cost hardly more than those that start at a multiple of four."""
        parts = {p["name"]: p["delta"]["bytes"] for p in decode.manifest(package)["partitions"]}
        self.assertLess(parts["tree"], 1.25 * (parts["a64"] + parts["t32"] + parts["x86"]))

    def check_tables(self, package):
        """What the linker derived is told by the map."""
        for partition in decode.manifest(package)["partitions"]:
            if partition["name"].startswith("linked"):
                self.assertLess(partition["delta"]["bytes"], partition["new"]["bytes"] // 30)

    def test_plain_chunks_that_are_corrupt(self):
        data = self.images["v1"]["plain"]
        head, control, difference = [0, 2, 4, 0, 255, 2, 255, 4], [4 * 4 + 2, 3], [1, 0, 0, 0]
        good = bytes(head + control + difference)
        self.assertEqual(decode.plain_decode(good, data, 4, 4, 512), bytes([data[4] + 1]) + data[5:8])
        for what, bad in (("flags", bytes([2]) + good[1:]), ("a byte more", good + b"0"), ("a byte less", good[:-1]),
                          ("length 0", good[:8] + bytes([2]) + good[9:]), ("too long", good[:8] + bytes([5 * 4 + 2]) + good[9:]),
                          ("too short", good[:8] + bytes([3 * 4 + 2]) + good[9:])):
            with self.subTest(what), self.assertRaises(decode.Corrupt):
                decode.plain_decode(bad, data, 4, 4, 512)
        with self.assertRaises(decode.Corrupt):
            decode.plain_decode(good, data[:6], 4, 4, 512)


if __name__ == "__main__":
    unittest.main()
