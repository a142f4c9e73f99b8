#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many real modules upgraded at a time by one `dfota upgrade`.

usage: test_fleet.py DFOTA DFOTAD
"""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from bus import Bus, Shuffle  # noqa: E402
from harness import Site, wait_for  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)
COUNT = 8
TIMES = ["--news-timeout", "60", "--settle", "1"]


def setUpModule():
    global SITE
    SITE = Site(DFOTA, DFOTAD).__enter__()
    SITE.synthetic()
    unittest.addModuleCleanup(SITE.__exit__, None, None, None)


class Case(unittest.TestCase):
    def start(self, count, orders=None):
        """So many modules, each at a socket of its own; `orders` has keys of module.ini for some of them."""
        self.modules = []
        for i in range(count):
            module = SITE.module(f"{self.id().rsplit('.', 1)[1]}-{i}", **(orders or {}).get(i, {}))
            self.addCleanup(shutil.rmtree, module.folder, ignore_errors=True)
            self.addCleanup(module.close)
            self.modules.append(module.start())
        for module in self.modules:
            wait_for(lambda: (module.folder / "at").is_symlink(), what="the port")

    @contextlib.contextmanager
    def shuffled(self):
        folder = SITE.folder / f"bus-{self.id().rsplit('.', 1)[1]}"
        folder.mkdir()
        bus = Bus(folder)
        places = {f"1-{i + 1}": (module.folder / "at", {"serial": f"N{i}"}) for i, module in enumerate(self.modules)}
        with Shuffle(bus, places) as shuffle:
            yield bus, shuffle

    def by_port(self):
        return [argument for module in self.modules for argument in ("--port", module.folder / "at")]

    def upgrade(self, *arguments, package=None):
        result = subprocess.run([DFOTA, "upgrade", "--file", package or SITE.up, *TIMES, *map(str, arguments)], capture_output=True,
                                text=True, timeout=500)
        self.talk = result.stderr
        return result

    def events(self, result):
        return [json.loads(line) for line in result.stdout.splitlines()]

    def check_images(self, version, modules=None):
        for module in modules if modules is not None else self.modules:
            self.assertEqual(module.images(), SITE.expected(version), module.folder)

    def logs(self):
        return "\n".join(f"{module.folder.name}:\n{module.log()}" for module in self.modules)


class Fleet(Case):
    def test_eight_whose_names_change_places_in_every_reboot(self):
        self.start(COUNT)
        with self.shuffled() as (bus, shuffle):
            result = self.upgrade("--all", "--usb", "2c7c:0800", "--json", *bus.arguments())
            self.assertEqual(result.returncode, 0, result.stdout[-3000:] + result.stderr + self.logs())
            self.assertGreaterEqual(shuffle.moves, 3 * COUNT)
        events = self.events(result)
        self.assertEqual(events[-1], {"event": "summary", "modules": COUNT, "failed": 0, "code": 0, "exit": 0})
        for i in range(COUNT):
            own = [event for event in events if event.get("module") == f"1-{i + 1}"]
            self.assertEqual((own[-1]["event"], own[-1]["version"], own[-1]["exit"]), ("result", "v13", 0))
            self.assertEqual([e["done"] for e in own if e["event"] == "progress" and e["stage"] == "upload"][-1], SITE.up.stat().st_size)
            self.assertIn("update", [e["stage"] for e in own if e["event"] == "stage"])
        self.assertEqual(sum(event["event"] == "result" for event in events), COUNT)
        for module in self.modules:
            module.wait_boot("v13, normal")
        self.check_images("v13")
        # at a time, not one after the other: somebody began before anybody had ended
        first = next(i for i, e in enumerate(events) if e["event"] == "result")
        self.assertEqual({e["module"] for e in events[:first]}, {f"1-{i + 1}" for i in range(COUNT)})

    def test_jobs_bound_how_many_at_a_time(self):
        self.start(3)
        events = self.events(self.upgrade(*self.by_port(), "--jobs", "1", "--json"))
        order = []
        for event in events[:-1]:
            if not order or order[-1] != event["module"]:
                order.append(event["module"])
        self.assertEqual(order, [str(module.folder / "at") for module in self.modules])
        self.check_images("v13")

    def test_the_worst_is_the_exit_code_and_the_summary_says_what_to_do(self):
        self.start(4, {1: {"fault_end": "510,1"}, 2: {"fault_end": "521,5"}})
        self.modules[3].term()
        result = self.upgrade(*self.by_port(), "--answer-timeout", "3")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        head, *rows = result.stdout.splitlines()
        self.assertEqual(head.split()[:4], ["MODULE", "FROM", "TO", "RESULT"])
        self.assertEqual(len(rows), 4)
        for row, module, words in zip(rows, self.modules, (("v12", "v13", "upgraded", "nothing"), ("v12", "code 510", "altered"),
                                                           ("code 521", "same command again"), ("no answer", "powered"))):
            self.assertIn(str(module.folder / "at"), row)
            for word in words:
                self.assertIn(word, row)
        self.assertIn("3 of 4 modules", self.talk)
        self.check_images("v13", self.modules[:1])
        self.check_images("v12", self.modules[1:2])

    def test_no_answer_is_the_exit_code_when_nothing_is_worse(self):
        self.start(2)
        self.modules[1].term()
        events = self.events(self.upgrade(*self.by_port(), "--json", "--answer-timeout", "2"))
        self.assertEqual(events[-1], {"event": "summary", "modules": 2, "failed": 1, "code": -1, "exit": 4})

    def test_without_a_terminal_a_line_an_event_with_the_modules_name(self):
        self.start(2)
        result = self.upgrade(*self.by_port())
        self.assertEqual(result.returncode, 0, result.stderr)
        names = [str(module.folder / "at") for module in self.modules]
        for line in self.talk.splitlines():
            self.assertTrue(line.startswith(tuple(f"{name}: " for name in names)), line)
        for name in names:
            for what in ("uploading", "upgrading", "100 %", "version: v13", "Upgraded from v12 to v13."):
                self.assertIn(f"{name}: {what}\n", self.talk)
        self.assertNotIn("\033", self.talk)

    def test_on_a_terminal_a_table(self):
        self.start(3)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        process = subprocess.Popen([DFOTA, "upgrade", "--file", SITE.up, *TIMES, *map(str, self.by_port())], stdout=subprocess.PIPE, stderr=slave)
        os.close(slave)
        shown = bytearray()
        while True:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break
        os.close(master)
        self.assertEqual((process.wait(60), process.stdout.read().count(b"upgraded")), (0, 3))
        process.stdout.close()
        frames = re.split(rb"\x1b\[3A\r\x1b\[J", bytes(shown))
        self.assertGreater(len(frames), 3)
        for frame in frames:
            rows = [row for row in frame.decode().splitlines() if row]
            self.assertEqual(len(rows), 3, frame)
            self.assertTrue(all(len(row) < 120 for row in rows), frame)
        self.assertIn(b"upgrading    [", bytes(shown))
        self.assertEqual(frames[-1].count(b"done"), 3)

    def test_stop_tells_of_each_where_it_is(self):
        self.start(2)
        process = subprocess.Popen([DFOTA, "upgrade", "--file", SITE.up, "--json", *map(str, self.by_port())], stdout=subprocess.PIPE, text=True)
        lines = []
        while not any('"update"' in line for line in lines):
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        results = [event for event in map(json.loads, rest.splitlines()) if event["event"] == "result"]
        self.assertEqual(len(results), 2)
        for event in results:
            self.assertRegex(event["text"], "goes on by itself|not touched|Upgraded")


if __name__ == "__main__":
    unittest.main(verbosity=2)
