#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Failures that module.ini orders, so that hosts can be tried with them, and how `dfota upgrade` gets through. Rows A8-A10, E1-E4.

usage: test_module_faults.py DFOTA DFOTAD
"""
import http.server
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Late, Site, wait_for  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)


def setUpModule():
    global SITE
    SITE = Site(DFOTA, DFOTAD).__enter__()
    SITE.synthetic()
    unittest.addModuleCleanup(SITE.__exit__, None, None, None)


class Case(unittest.TestCase):
    def start(self, **ini):
        self.module = SITE.module(f"module-{self.id().rsplit('.', 1)[1]}", **ini)
        self.addCleanup(shutil.rmtree, self.module.folder, ignore_errors=True)
        self.addCleanup(self.module.close)
        self.module.start()
        self.host = self.module.host().__enter__()
        self.addCleanup(self.host.__exit__)
        self.host.greet()
        self.host.command("ATE0")

    def upgrade(self):
        self.assertEqual(self.host.command(f'AT+QFOTADL="{self.module.put(SITE.up)}"'), ([], "OK"))

    def ends(self):
        return [value for name, value in self.host.fota() if name == "END"]

    def struck(self, name):
        path = self.module.folder / f"state/fault-{name}"
        return path.stat().st_size if path.exists() else 0


class Port(Case):
    def test_a_urc_is_lost_and_the_next_ones_are_not(self):
        self.start(fault_lose='"START",1')
        self.upgrade()
        self.assertEqual(self.host.wait_fota("END"), 0)
        names = [name for name, _ in self.host.fota()]
        self.assertNotIn("START", names)
        self.assertIn("UPDATING", names)
        self.assertEqual(self.struck("lose"), 1)

    def test_an_answer_is_lost_once_and_only_the_one_that_is_meant(self):
        self.start(fault_lose="+CGMM,1,1")
        self.assertEqual(self.host.command("AT+CGMM")[1], "OK")
        self.assertEqual(self.host.command("AT+CGMI")[1], "OK")
        with self.assertRaises(Late):
            self.host.command("AT+CGMM", 1)
        self.assertEqual(self.host.command("AT+CGMM")[1], "OK")

    def test_an_answer_comes_late_and_what_follows_behind_it(self):
        self.start(fault_late="+CGMR,1,0,700")
        began, start = time.monotonic(), len(self.host.received)
        self.host.send(b"AT+CGMR\rAT+CGMM\r")
        self.host.expect(rb"\r\nv12\r\n\r\nOK\r\n\r\nRG500Q-TEST\r\n\r\nOK\r\n$", 10, start)
        self.assertGreaterEqual(time.monotonic() - began, 0.7)
        self.assertEqual(self.struck("late"), 1)

    def test_garbage_stands_before_an_answer(self):
        self.start(fault_garbage="+CGMR,2,0,50")
        for _ in range(2):
            start = len(self.host.received)
            self.host.send(b"AT+CGMR\r")
            self.host.expect(rb"\r\nv12\r\n\r\nOK\r\n$", 10, start)
            self.assertEqual(len(self.host.received) - start, 50 + len("\r\nv12\r\n\r\nOK\r\n"))
        self.assertEqual(self.host.command("AT+CGMR"), (["v12"], "OK"))

    def test_the_port_goes_away_and_the_module_lives_on(self):
        self.start(fault_drop="+CGMR,1", reboot_ms=200)
        self.assertEqual(self.host.command("AT+CREG=2")[1], "OK")
        link = self.module.folder / "at"
        self.host.send(b"AT+CGMR\r")
        wait_for(lambda: not link.is_symlink(), 10, "the port going away")
        self.host.wait_open(opens=2)
        self.host.greet()
        self.assertEqual(self.host.command("AT+CREG?"), (["+CREG: 2,1"], "OK"))
        self.assertEqual(self.module.log().count("boot:"), 1)

    def test_the_port_goes_away_in_an_upload_and_leaves_no_file(self):
        self.start(fault_drop="ack,1,2")
        self.host.command('AT+QFUPL="x",9000,5,1')
        self.host.send(b"x" * 1024)
        self.host.expect(rb"A$")
        self.host.send(b"x" * 1024)
        self.host.expect(rb"AA$")
        self.host.send(b"x" * 1024)
        self.host.wait_open(opens=2)
        self.host.greet()
        self.assertEqual(self.host.command("AT+QFLST"), ([], "OK"))
        self.assertEqual(self.host.upload(b"y" * 9000, "x")[0], 9000)

    def test_the_port_goes_away_in_an_upgrade_which_goes_on(self):
        self.start(fault_drop="UPDATING,1", reboot_ms=100, urc_gap_ms=20)  # the first: a fast upgrade tells no second
        self.upgrade()
        self.assertEqual(self.host.wait_fota("END"), 0)
        self.module.wait_boot("v13, normal")
        self.assertEqual(self.struck("drop"), 1)
        self.assertEqual(self.module.log().count("boot:"), 3)

    def test_the_end_of_the_module_while_its_port_is_away(self):
        self.start(fault_drop="+CGMR,1", reboot_ms=60000)
        self.host.send(b"AT+CGMR\r")
        wait_for(lambda: not (self.module.folder / "at").is_symlink(), 10, "the port going away")
        self.assertEqual(self.module.term(), 0)


class Ends(Case):
    def test_an_attempt_fails_with_a_code_at_a_percent_and_the_next_does_not(self):
        self.start(fault_end="546,2,40")
        self.upgrade()
        wait_for(lambda: self.ends() == [546, 546, 0], what="three ENDs")
        attempts = [[]]
        for name, value in self.host.fota():
            if name == "START":
                attempts.append([])
            if name == "UPDATING":
                attempts[-1].append(value)
        self.assertEqual(attempts[-1][-1], 100)
        self.assertTrue(all(value <= 60 for attempt in attempts[:3] for value in attempt), attempts)
        self.module.wait_boot("v13, normal")
        self.assertEqual(self.module.images(), SITE.expected("v13"))

    def test_five_failures_end_it(self):
        """E3; the flash is a mixture then, and the same package mends it."""
        self.start(fault_end="502,5,50")
        self.upgrade()
        wait_for(lambda: self.ends() == [502] * 5, what="five ENDs")
        self.module.wait_log("flag deleted")
        self.module.wait_boot("stranded")
        self.host.wait_open(opens=7)
        self.host.greet()
        self.upgrade()
        wait_for(lambda: self.ends() == [502] * 5 + [0], what="a sixth END")
        self.module.wait_boot("v13, normal")
        self.assertEqual(self.module.images(), SITE.expected("v13"))

    def test_what_is_wrong_with_a_package_is_told_once(self):
        for code in (504, 505, 510, 511, 550):
            with self.subTest(code=code):
                self.start(fault_end=f"{code},1")
                self.upgrade()
                self.assertEqual(self.host.wait_fota("END"), code)
                self.module.wait_log("flag deleted")
                self.assertEqual(self.module.images(), SITE.expected("v12"))
                self.doCleanups()

    def test_a_download_fails_with_a_code_and_goes_on_when_asked_again(self):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=SITE.folder)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.start(fault_download="703,2,1")
        request = f'AT+QFOTADL="http://127.0.0.1:{server.server_port}/up.zip"'
        for _ in range(2):
            start = len(self.host.received)
            self.assertEqual(self.host.command(request), ([], "OK"))
            self.assertEqual(self.host.wait_fota("HTTPEND", start=start), 703)
        start = len(self.host.received)
        self.assertEqual(self.host.command(request), ([], "OK"))
        self.assertEqual(self.host.wait_fota("HTTPEND", start=start), 0)
        self.assertEqual(self.host.wait_fota("END", start=start), 0)


class Hosts(Case):
    """`dfota upgrade` against each of them."""

    def run_host(self, expect, **ini):
        self.start(**ini)
        self.host.__exit__()
        command = [DFOTA, "upgrade", "--port", self.module.folder / "at", "--file", SITE.up, "--expect-version", "v13", "--news-timeout", "60",
                   "--settle", "1"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=200)
        self.assertEqual(result.returncode, expect, f"{ini}\n{result.stdout}{result.stderr}{self.module.log()}")
        self.doCleanups()

    def test_gets_through_what_a_host_can_get_through(self):
        for ini in ({"fault_lose": '"START",1'}, {"fault_lose": "UPDATING,3"}, {"fault_garbage": "FOTA,3,1,20"}, {"fault_late": "+QFUPL,1,0,1500"},
                    {"fault_drop": "UPDATING,1"}, {"fault_end": "502,2,30"}):
            with self.subTest(ini):
                self.run_host(0, **ini)

    def test_says_when_it_is_over(self):
        self.run_host(1, fault_end="521,5,30")


class Keys(Case):
    def test_malformed_orders_keep_the_module_from_starting(self):
        self.start()
        self.assertEqual(self.module.term(), 0)
        wrong = {"lose": ("x", ",1", "x,", "x,1,", "x,1,2,3", "x,-1", "x,1x", "x,4294967296", "y" * 41 + ",1"),
                 "late": ("x,1", "x,1,0", "x,1,0,60001", "x,1,0,1,1"), "garbage": ("x,1,0,257",), "drop": ("x,1,2,3",),
                 "end": ("502", "0,1", "1000,1", "x,1", "502,1,100", "502,1,1,1"), "download": ("701,1,100",)}
        for name, values in wrong.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    self.module.configure(**{f"fault_{name}": value})
                    self.module.start()
                    self.assertEqual(self.module.process.wait(20), 2)
            self.module.configure(**{f"fault_{name}": None})
        for name, value in (("lose", "y" * 40 + ",4294967295,0"), ("late", "x,1,0,60000"), ("garbage", "x,1,0,256"), ("end", "999,1,99")):
            self.module.configure(**{f"fault_{name}": value})
        self.module.start()
        self.host.wait_open(opens=2)
        self.host.greet()


if __name__ == "__main__":
    unittest.main(verbosity=2)
