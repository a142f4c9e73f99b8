#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Modules found by USB ids, socket and serial number, and followed when their ports come back under other names.

usage: test_discover.py DFOTA
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from bus import Bus  # noqa: E402
from peer import Peer  # noqa: E402

DFOTA = sys.argv.pop(1)
FAST = ["--answer-timeout", "2", "--news-timeout", "2", "--settle", "0.4", "--upload-timeout", "2"]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.bus = Bus(self.folder)

    def run_tool(self, *arguments):
        return subprocess.run([DFOTA, *map(str, arguments)], capture_output=True, text=True, timeout=60)

    def ports(self, *arguments, expect=0):
        result = self.run_tool("ports", *self.bus.arguments(), "--json", *arguments)
        self.assertEqual(result.returncode, expect, result.stderr)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(lines[-1], {"event": "result", "code": 0, "ports": len(lines) - 1})
        return lines[:-1]

    def upgrade(self, *arguments):
        result = self.run_tool("upgrade", *self.bus.arguments(), *FAST, "--json", "--ufs", "p.zip", *arguments)
        self.talk = result.stderr
        self.events = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(result.returncode, self.events[-1]["exit"], result.stdout + result.stderr)
        return self.events[-1]

    def module(self, name, socket, tty, plan=None, **about):
        """A scripted module with all four ports of its kind, of which the third takes commands."""
        folder = self.folder / name
        folder.mkdir()
        peer = Peer(str(folder), plan=plan)
        for interface in (0, 1, 3):
            self.bus.plug(f"ttyUSB{tty + interface}", socket, "/dev/null", interface=interface, **about)
        self.bus.plug(f"ttyUSB{tty + 2}", socket, peer.link, interface=2, **about)
        return peer

    def replug(self, socket, tty):
        """All of a module's ports go; returns what brings them back from number `tty` on."""
        targets = {i: os.readlink(self.bus.dev / self.bus.names[socket, i]) for i in range(4)}
        for i in range(4):
            self.bus.unplug(socket, i)

        def back():
            for i in range(4):
                self.bus.plug(f"ttyUSB{tty + i}", socket, targets[i], interface=i)
        return back

    def moving_plan(self, socket, first, last, meanwhile=lambda: None):
        def plan(peer):
            for tty, version in ((first, "APP01"), (last, "APP02")):
                back = self.replug(socket, tty)
                peer.down()
                meanwhile()
                yield 0.1
                peer.version, peer.echo = version, True
                peer.up()
                back()
                yield peer.greeted
                if version == "APP01":
                    peer.fota("START")
                    peer.fota("UPDATING", 100)
                    yield 0.02
                    peer.fota("END", 0)
                    yield 0.1
        return plan


class Ports(Case):
    def test_none(self):
        self.assertEqual(self.ports(), [])
        self.assertEqual(self.run_tool("ports", "--sysfs", self.folder / "none").returncode, 1)

    def test_all_that_is_told_of_a_port(self):
        self.bus.plug("ttyUSB2", "1-1.2", "/dev/null", serial="a\x1b[2Jb", product="RM500Q-GL")
        self.bus.plug("ttyACM0", "1-1.10", "/dev/null", interface=11, acm=True, ids="1d6b:0002")
        self.bus.plug("ttyUSB9", "1-1.9", "/dev/null", interface=0, serial="77")
        self.assertEqual(self.ports(), [
            {"event": "port", "device": f"{self.bus.dev}/ttyUSB2", "path": "1-1.2", "vendor": "2c7c", "product": "0800", "interface": 2,
             "serial": "a?[2Jb", "name": "RM500Q-GL", "model": "RG500Q, RM500Q", "at": True},
            {"event": "port", "device": f"{self.bus.dev}/ttyUSB9", "path": "1-1.9", "vendor": "2c7c", "product": "0800", "interface": 0,
             "serial": "77", "name": "", "model": "RG500Q, RM500Q", "at": False},
            {"event": "port", "device": f"{self.bus.dev}/ttyACM0", "path": "1-1.10", "vendor": "1d6b", "product": "0002", "interface": 11,
             "serial": "", "name": "", "model": None, "at": False}])
        table = self.run_tool("ports", *self.bus.arguments()).stdout
        self.assertEqual([line.split()[1] for line in table.splitlines()], ["PATH", "1-1.2", "1-1.9", "1-1.10"])
        self.assertTrue(table.replace("\n", "").isprintable())

    def test_filters(self):
        for socket, tty, serial in (("1-1", 0, "A"), ("1-2", 4, "B")):
            for i in range(4):
                self.bus.plug(f"ttyUSB{tty + i}", socket, "/dev/null", interface=i, serial=serial)
        self.bus.plug("ttyUSB8", "1-3", "/dev/null", interface=0, ids="0403:6001")

        def names(*arguments):
            return [pathlib.Path(port["device"]).name for port in self.ports(*arguments)]

        self.assertEqual(names("--usb", "2C7C:0800"), ["ttyUSB2", "ttyUSB6"])
        self.assertEqual(names("--usb", "2c7c:0800:3"), ["ttyUSB3", "ttyUSB7"])
        self.assertEqual(names("--path", "1-2"), ["ttyUSB6"])
        self.assertEqual(names("--serial", "A"), ["ttyUSB2"])
        self.assertEqual(names("--serial", "A", "--path", "1-2"), [])
        self.assertEqual(names("--usb", "0403:6001"), ["ttyUSB8"])  # unknown, but it has one port only
        self.bus.plug("ttyUSB9", "1-3", "/dev/null", interface=1, ids="0403:6001")
        self.assertEqual(names("--usb", "0403:6001"), [])
        self.assertEqual(names("--usb", "0403:6001:1"), ["ttyUSB9"])

    def test_ids_that_are_none(self):
        for text in ("", "2c7c", "2c7c:", "2c7c:08", "2c7c:0800:", "2c7c:0800:256", "2c7c:0800:-1", "2c7c:0800:1x", "2c7c:0800x",
                     "02c7c:0800", "2c7c:0800:0001", " 2c7c:0800", "2c7g:0800"):
            with self.subTest(text):
                self.assertEqual(self.run_tool("ports", *self.bus.arguments(), "--usb", text).returncode, 2)

    def test_a_sysfs_that_lies(self):
        rng = random.Random(3)
        self.bus.plug("ttyUSB0", "1-1", "/dev/null")
        device = self.bus.device("1-1")
        interface = device / "1-1:1.2/bInterfaceNumber"
        for path, good in ((interface, "02\n"), (device / "idVendor", "2c7c\n"), (device / "idProduct", "0800\n")):
            for value in (b"", b"\n", b"xyz", b"-1", b"10000000000000000000000000", b"2c7c" * 4000, b"\xff" * 300, rng.randbytes(200), b" 02"):
                path.write_bytes(value)
                self.assertEqual(self.ports(), [], (path, value))
            path.write_text(good)
        (device / "serial").write_bytes(b"\xc3\xa4" * 4000)
        self.assertEqual(self.ports()[0]["serial"], "?" * 126)
        os.symlink("loop", self.bus.sysfs / "class/tty/loop")
        os.symlink("nowhere", self.bus.sysfs / "class/tty/dangling")
        (self.bus.sysfs / "class/tty" / ("x" * 200)).mkdir()
        self.assertEqual(len(self.ports()), 1)
        os.unlink(device / "idVendor")
        os.mkfifo(device / "idVendor")  # nobody writes: it must not be waited for
        self.assertEqual(self.ports(), [])


class Follow(Case):
    def check(self, result, module="1-1.2"):
        self.assertEqual((result["exit"], result["version"], result["module"]), (0, "APP02", module), result)

    def test_found_by_each_and_followed_under_other_names(self):
        for i, arguments in enumerate((["--usb", "2c7c:0800"], ["--usb", "2c7c:0800:2"], ["--path", "1-1.2"], ["--serial", "S1"])):
            with self.subTest(arguments), self.module(f"m{i}", "1-1.2", 0, self.moving_plan("1-1.2", 4, 9), serial="S1") as peer:
                self.check(self.upgrade(*arguments))
                self.assertEqual(peer.requests, ['"/cache/ufs/p.zip"'])
                notes = [e["text"] for e in self.events if e["event"] == "note"]
                self.assertEqual(notes, [f"The module's port is {self.bus.dev}/ttyUSB{n} now." for n in (6, 11)])
            for interface in range(4):
                self.bus.unplug("1-1.2", interface)

    def test_named_by_its_port_while_another_takes_that_name(self):
        """After the reboot the old name is another module's, which must be left alone."""
        other = Peer(str(self.folder), version="OTHER")

        def take_name():
            if ("1-1.3", 2) not in self.bus.names:
                self.bus.plug("ttyUSB2", "1-1.3", other.link)

        with other, self.module("m", "1-1.2", 0, self.moving_plan("1-1.2", 4, 8, take_name)):
            self.check(self.upgrade("--port", f"{self.bus.dev}/ttyUSB2"), f"{self.bus.dev}/ttyUSB2")
        self.assertEqual(other.commands, [])

    def test_named_by_a_link_that_goes_with_the_module(self):
        link = self.bus.dev / "serial/by-id/usb-Quectel-if02-port0"
        link.parent.mkdir(parents=True)
        os.symlink("../../ttyUSB2", link)
        with self.module("m", "1-1.2", 0, self.moving_plan("1-1.2", 4, 8, lambda: link.unlink(missing_ok=True))):
            self.check(self.upgrade("--port", link), str(link))

    def test_two_told_apart_by_socket_and_by_serial_number(self):
        with self.module("a", "1-1.2", 0, self.moving_plan("1-1.2", 10, 4), serial="S1") as a, \
             self.module("b", "1-1.3", 4, self.moving_plan("1-1.3", 30, 40), serial="S2") as b:
            self.check(self.upgrade("--serial", "S2"), "1-1.3")
            self.assertEqual((a.commands, len(b.requests)), ([], 1))
            b.commands.clear()
            self.check(self.upgrade("--path", "1-1.2"))
            self.assertEqual((b.commands, len(a.requests)), ([], 1))

    def test_several_match(self):
        with self.module("a", "1-1.2", 0, serial="S1") as a, self.module("b", "1-1.3", 4, serial="S2") as b:
            self.assertEqual(self.upgrade("--usb", "2c7c:0800")["exit"], 2)
            for word in ("--path 1-1.2", "--serial 'S2'", "--all"):
                self.assertIn(word, self.talk)
            self.assertEqual(a.commands + b.commands, [])

    def test_none_matches(self):
        self.assertEqual(self.upgrade("--serial", "S1", "--answer-timeout", "0.3")["exit"], 4)
        self.assertIn("dfota ports", self.talk)
        self.assertEqual(self.upgrade("--all")["exit"], 4)

    def test_never_comes_back_to_its_socket(self):
        """What comes at another socket is another module, even under the old name."""
        def plan(peer):
            back = self.replug("1-1.2", 4)
            link = self.bus.dev / "ttyUSB2"
            peer.down()
            yield 0.1
            peer.up()
            self.bus.plug("ttyUSB2", "1-1.3", peer.link)
            seen = peer.seen
            yield 3
            assert (peer.seen, link.is_symlink(), back is not None) == (seen, True, True)

        with self.module("m", "1-1.2", 0, plan):
            result = self.upgrade("--path", "1-1.2")
            self.assertEqual(result["exit"], 4, result)
            self.assertIn("come back", result["text"])

    def test_other_ids_after_the_restart_have_their_own_interface(self):
        def plan(peer):
            for i in range(4):
                self.bus.unplug("1-1.2", i)
            peer.down()
            yield 0.1
            peer.version = "APP02"
            peer.up()
            self.bus.plug("ttyUSB7", "1-1.2", "/dev/null", interface=2, ids="2c7c:0128")
            self.bus.plug("ttyUSB8", "1-1.2", peer.link, interface=5, ids="2c7c:0128")
            yield peer.greeted
            peer.fota("END", 0)

        with self.module("m", "1-1.2", 0, plan):
            self.check(self.upgrade("--path", "1-1.2"))


class Usage(Case):
    def test_wrong(self):
        for arguments in (["--port", "x", "--path", "1-1"], ["--port", "x", "--all"], [], ["--port", ""], ["--all", "--jobs", "0"],
                          ["--all", "--jobs", "65"], ["--port", "x", "--baud", "1234"], ["--port", "x", "--baud", "0"]):
            with self.subTest(arguments):
                self.assertEqual(self.run_tool("upgrade", "--ufs", "p", *arguments).returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
