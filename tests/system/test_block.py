#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A module whose partitions and area are block devices: upgrade with a kill in it, the way back, and what is refused.

usage: test_block.py DFOTA DFOTAD

The devices are loop devices, so root is needed; where they cannot be had the test says so and is skipped (exit 77).
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import DEADLINE_S, Site  # noqa: E402

MIB = 1 << 20
DEVICES = {"system": 2 * MIB, "boot": MIB, "area": 4 * MIB}


def losetup(*arguments):
    return subprocess.run(["losetup", *map(str, arguments)], capture_output=True, text=True, check=True).stdout.strip()


class Disk:
    """Loop devices, by name; /dev/loopN in self.path."""

    def __init__(self, folder):
        self.path = {}
        for name, size in DEVICES.items():
            (folder / f"{name}.disk").write_bytes(b"\xa5" * size)
            self.path[name] = losetup("--find", "--show", folder / f"{name}.disk")

    def close(self):
        for path in self.path.values():
            losetup("--detach", path)


class Block(unittest.TestCase):
    def setUp(self):
        self.site = Site(DFOTA, DFOTAD)
        self.addCleanup(self.site.__exit__)
        self.site.synthetic(seed=3)
        self.disk = Disk(self.site.folder)
        self.addCleanup(self.disk.close)
        self.module = self.site.module(area=f"block:{self.disk.path['area']}")
        for name in ("system", "boot"):
            image = self.module.folder / f"flash/{name}.img"
            with open(self.disk.path[name], "r+b") as device:
                device.write(image.read_bytes())
            image.unlink()
            self.module.configure(**{f"partition_{name}": f"block:{self.disk.path[name]}"})

    def start(self, mode="normal"):
        mark = len(self.module.log())
        self.module.start()
        self.module.wait_boot(mode, start=mark)

    def runs(self, version):
        """Files bit for bit, and on the devices the image with what stood behind it."""
        expected = self.site.expected(version)
        found = self.module.images()
        for name, path in self.disk.path.items():
            if name == "area":
                continue
            data = pathlib.Path(path).read_bytes()
            size = len(expected[name])
            larger = max(size, len(self.site.expected("v12")[name]), len(self.site.expected("v13")[name]))
            found[name] = data[:size]
            self.assertEqual(data[-(-larger // 4096) * 4096:].strip(b"\xa5"), b"", f"{name}: written behind the image")
        self.assertEqual({name: len(data) for name, data in found.items()}, {name: len(data) for name, data in expected.items()})
        self.assertEqual(found, expected)

    def request(self, host, package):
        host.greet()
        self.assertEqual(host.command(f'AT+QFOTADL="{self.module.put(package)}"')[1], "OK")

    def test_upgrade_with_a_kill_and_back(self):
        self.start()
        with self.module.host() as host:
            self.request(host, self.site.up)
            self.module.wait_log("writing begins")
            self.module.kill()
            self.start("recovery")
            self.assertEqual(host.wait_fota("END"), 0)
            self.module.wait_boot("v13, normal")
            host.greet()
            self.assertEqual(host.version(), "v13")
            self.runs("v13")
            mark = len(host.received)
            self.request(host, self.site.down)
            self.assertEqual(host.wait_fota("END", start=mark), 0)
            self.module.wait_boot("v12, normal", start=self.module.log().rfind("v13, normal"))
            self.runs("v12")

    def test_a_device_in_use_is_refused_and_named(self):
        held = os.open(self.disk.path["boot"], os.O_RDWR | os.O_EXCL)
        self.addCleanup(os.close, held)
        self.start()
        with self.module.host() as host:
            self.request(host, self.site.up)
            self.assertEqual(host.wait_fota("END"), 502)
            self.module.wait_log(f"storage: boot, block:{self.disk.path['boot']}: the device is mounted or in use")
            self.module.wait_log("failed for good", DEADLINE_S)
        self.runs("v12")

    def test_a_device_too_small_is_511(self):
        small = self.site.folder / "small.disk"
        small.write_bytes(b"\0" * (256 << 10))
        path = losetup("--find", "--show", small)
        self.addCleanup(losetup, "--detach", path)
        self.module.configure(area=f"block:{path}")
        self.start()
        with self.module.host() as host:
            self.request(host, self.site.up)
            self.assertEqual(host.wait_fota("END"), 511)
        self.runs("v12")
        self.assertEqual(small.read_bytes().strip(b"\0"), b"", "the area was written to")


def loop_devices():
    """Whether they work here: None or what stands against it."""
    try:
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(4096)
            losetup("--detach", losetup("--find", "--show", file.name))
        return None
    except (OSError, subprocess.CalledProcessError) as error:
        return str(getattr(error, "stderr", None) or error).strip()


if __name__ == "__main__":
    DFOTA, DFOTAD = sys.argv[1:3]
    against = loop_devices()
    if against:
        print(f"NOT TESTED: no loop devices here: {against}")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
