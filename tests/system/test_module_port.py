#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dfotad on a serial terminal that is there late, goes, and comes back: the port of module.ini, with a pty in its place.

usage: test_module_port.py DFOTA DFOTAD
"""
import os
import pathlib
import pty
import subprocess
import sys
import time
import tty
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, wait_for  # noqa: E402

DFOTAD, DFOTA = sys.argv.pop(2), sys.argv.pop(1)


class Line:
    """Both ends of a line; the module opens `path`."""

    def __init__(self, path):
        self.path = path
        self.host, module = pty.openpty()
        tty.setraw(module)
        path.symlink_to(os.ttyname(module))
        self.module = module
        self.got = b""

    def pull(self):
        """As a cable: the terminal hangs up and its name is gone."""
        self.path.unlink()
        os.close(self.host)
        os.close(self.module)

    def read(self):
        os.set_blocking(self.host, False)
        try:
            self.got += os.read(self.host, 4096)
        except (BlockingIOError, OSError):
            pass
        return self.got

    def ask(self, command, answer):
        os.write(self.host, command)
        wait_for(lambda: answer in self.read(), what=f"{answer} in {self.got}")


class Terminal(unittest.TestCase):
    def setUp(self):
        self.site = Site(DFOTA, DFOTAD)
        self.addCleanup(self.site.__exit__)
        self.site.synthetic()
        self.path = self.site.folder / "line"
        self.module = self.site.module(port=self.path, port_baud=921600)

    def test_late_gone_and_back(self):
        self.module.start()
        self.module.wait_boot("normal")
        for number in range(3):
            line = Line(self.path)
            self.module.wait_log(rf"(?s)(port .*: there.*){{{number + 1}}}")
            line.ask(b"ATI\r", b"Revision: v12\r\n\r\nOK\r\n")
            line.pull()
            self.module.wait_log(rf"(?s)(port .*: gone.*){{{number + 1}}}")
        self.assertEqual(self.module.term(), 0)

    def test_urcs_wait_for_a_port_that_is_late(self):
        self.module.configure(boot_urcs="RDY | +CFUN: 1 | +QUSIM: 1")
        self.module.start()
        self.module.wait_boot("normal")
        time.sleep(11) # longer than a port that takes nothing is waited for
        used = sum(map(int, pathlib.Path(f"/proc/{self.module.process.pid}/stat").read_text().split()[13:15]))
        self.assertLess(used, 3 * os.sysconf("SC_CLK_TCK"), "the processor is kept busy meanwhile")
        line = Line(self.path)
        wait_for(lambda: b"+QUSIM: 1\r\n" in line.read(), what=f"URCs in {line.got}")
        self.assertEqual(line.got, b"\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+QUSIM: 1\r\n")

    def test_a_log_that_nobody_reads_any_more(self):
        reading, writing = os.pipe()
        self.module.process = subprocess.Popen([DFOTAD, "--module", self.module.folder], stdin=subprocess.DEVNULL, stderr=writing)
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        line = Line(self.path)
        line.ask(b"ATI\r", b"Revision: v12\r\n\r\nOK\r\n")
        line.pull()
        line = Line(self.path)
        line.ask(b"ATI\r", b"Revision: v12\r\n\r\nOK\r\n")
        self.assertEqual(self.module.term(), 0)

    def test_the_port_is_served_where_the_area_cannot_be_read(self):
        (self.module.folder / "state/area").mkdir(parents=True)
        self.module.start()
        self.module.wait_log("area: .*; whether the firmware is whole is not known")
        line = Line(self.path)
        line.ask(b"ATI\r", b"Revision: v12+incomplete\r\nFOTA: unknown, the area cannot be read\r\n\r\nOK\r\n")

    def test_an_upgrade_needs_no_port(self):
        line = Line(self.path)
        self.module.put(self.site.up)
        self.module.start()
        self.module.wait_boot("normal")
        line.ask(b'AT+QFOTADL="/cache/ufs/update.zip"\r', b"\r\nOK\r\n")
        self.module.wait_boot("recovery")
        line.pull()
        self.module.wait_boot("v13, normal")
        line = Line(self.path)
        self.module.wait_log(r"port .*: there")
        line.ask(b"ATI\r", b"Revision: v13\r\n")
        self.assertEqual(self.module.images(), self.site.expected("v13"))

    def test_a_file_that_was_being_sent_is_given_up(self):
        line = Line(self.path)
        self.module.start()
        self.module.wait_boot("normal")
        line.ask(b'AT+QFUPL="half.bin",1000,60\r', b"CONNECT\r\n")
        os.write(line.host, b"x" * 100)
        line.pull()
        self.module.wait_log(r"port .*: gone")
        line = Line(self.path)
        line.ask(b"ATI\r", b"Revision: v12\r\n")
        line.ask(b'AT+QFLST="*"\r', b"OK\r\n")
        self.assertNotIn(b"half.bin", line.got)


class Configuration(unittest.TestCase):
    def test_what_is_no_port_is_told(self):
        for key, value, text in (("port", "ttyS0", "port is pty or"), ("port-baud", "115201", "no speed"),
                                 ("reboot", "never", "out of its bounds")):
            with self.subTest(key=key), Site(DFOTA, DFOTAD) as site:
                site.plain()
                module = site.module(**{key.replace("-", "_"): value})
                module.start()
                self.assertEqual(module.process.wait(30), 2)
                self.assertIn(text, module.log())


if __name__ == "__main__":
    unittest.main()
