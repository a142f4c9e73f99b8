#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dfota at: what it prints and how it ends, against a scripted module.

usage: test_host_at.py DFOTA
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import Peer  # noqa: E402

DFOTA = sys.argv.pop(1)


class At(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def at(self, peer, *arguments):
        return subprocess.run([DFOTA, "at", "--port", peer.link, *arguments], capture_output=True, text=True,
                              timeout=30)

    def test_response_without_echo_and_framing(self):
        for echo in (True, False):
            with self.subTest(echo=echo), Peer(self.folder) as peer:
                peer.echo = echo
                result = self.at(peer, "ATI")
                self.assertEqual((result.returncode, result.stdout, result.stderr),
                                 (0, "Quectel\nRG500Q-EA\nRevision: APP01\nOK\n", ""))

    def test_several_commands_up_to_the_first_error(self):
        with Peer(self.folder) as peer:
            result = self.at(peer, "AT", 'AT+QFDEL="x"', "ATI")
            self.assertEqual((result.returncode, result.stdout), (1, "OK\n+CME ERROR: 405\n"))
            self.assertEqual(peer.commands, ["AT", 'AT+QFDEL="x"'])

    def test_plain_error(self):
        with Peer(self.folder) as peer:
            result = self.at(peer, "AT+NONSENSE")
            self.assertEqual((result.returncode, result.stdout), (1, "ERROR\n"))

    def test_byte_by_byte(self):
        with Peer(self.folder) as peer:
            peer.trickle = True
            self.assertEqual(self.at(peer, "ATI").stdout, "Quectel\nRG500Q-EA\nRevision: APP01\nOK\n")

    def test_no_answer(self):
        with Peer(self.folder) as peer:
            peer.mute = True
            result = self.at(peer, "--timeout", "0.3", "AT")
            self.assertEqual((result.returncode, result.stdout), (4, ""))
            self.assertIn("no answer", result.stderr)

    def test_port_goes_away(self):
        with Peer(self.folder) as peer:
            peer.answers["AT+CFUN"] = lambda p, _: p.down()
            result = self.at(peer, "AT+CFUN=1,1")
            self.assertEqual(result.returncode, 1)
            self.assertIn("rebooting", result.stderr)

    def test_module_cannot_write_to_the_terminal(self):
        with Peer(self.folder) as peer:
            peer.answers["ATI"] = b"\r\n\x1b]0;owned\x07\x1b[2J\x7f\x80\xff\r\n\r\nOK\r\n"
            result = self.at(peer, "ATI")
            self.assertEqual(result.stdout, "?]0;owned??[2J???\nOK\n")

    def test_line_without_end_is_bounded(self):
        def flood(peer, _):
            peer.send(b"\r\n" + b"x" * 200000 + b"\r\n\r\nOK\r\n")

        with Peer(self.folder) as peer:
            peer.answers["ATI"] = flood
            result = self.at(peer, "ATI")
            self.assertEqual(result.returncode, 0)
            self.assertLess(len(result.stdout), 4096)

    def test_urcs_are_printed_after_the_response_they_fell_into(self):
        def identify(peer, _):
            peer.send('\r\nQuectel\r\n+QIND: "FOTA","UPDATING",7\r\nRevision: V\r\n\r\nOK\r\n')

        with Peer(self.folder) as peer:
            peer.answers["ATI"] = identify
            self.assertEqual(self.at(peer, "ATI").stdout, 'Quectel\nRevision: V\nOK\n+QIND: "FOTA","UPDATING",7\n')

    def test_answer_that_looks_like_a_urc(self):
        with Peer(self.folder) as peer:
            peer.answers["AT+CPIN"] = "\r\n+CPIN: READY\r\n\r\nOK\r\n"
            self.assertEqual(self.at(peer, "AT+CPIN?").stdout, "+CPIN: READY\nOK\n")

    def test_listen(self):
        def plan(peer):
            for percent in (1, 2, 3):
                yield 0.1
                peer.fota("UPDATING", percent)

        with Peer(self.folder, plan=plan) as peer:
            result = self.at(peer, "--listen", "0.8", 'AT+QFOTADL="x"')
            self.assertEqual((result.returncode, result.stdout.count("UPDATING")), (0, 3))

    def test_stale_bytes_are_dropped(self):
        with Peer(self.folder) as peer:
            peer.send("\r\nstale\r\n\r\nERROR\r\n")
            self.assertEqual(self.at(peer, "AT").stdout, "OK\n")

    def test_bad_usage(self):
        with Peer(self.folder) as peer:
            for arguments in ([], ["ATI\rATD"], ["hello"], ["A"], ["AT" + "x" * 1024], ["--timeout", "0", "AT"],
                              ["--timeout", "x", "AT"], ["--timeout", "nan", "AT"], ["--timeout", "-1", "AT"],
                              ["--timeout", "1e9", "AT"], ["--no-such", "AT"], ["AT\x7f"]):
                with self.subTest(arguments=arguments):
                    self.assertEqual(self.at(peer, *arguments).returncode, 2)
            self.assertEqual(peer.commands, [])
        result = subprocess.run([DFOTA, "at", "ATI"], capture_output=True, timeout=30)
        self.assertEqual(result.returncode, 2)

    def test_longest_command(self):
        with Peer(self.folder) as peer:
            command = "AT+X=" + "y" * 1019
            peer.answers["AT+X"] = "\r\nOK\r\n"
            self.assertEqual(self.at(peer, command).stdout, "OK\n")
            self.assertEqual(peer.commands, [command])

    def test_interrupt(self):
        with Peer(self.folder) as peer:
            peer.mute = True
            tool = subprocess.Popen([DFOTA, "at", "--port", peer.link, "--timeout", "60", "AT"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            deadline = time.monotonic() + 20
            while not peer.commands and time.monotonic() < deadline:
                time.sleep(0.01)
            tool.send_signal(signal.SIGINT)
            tool.communicate(timeout=10)
            self.assertEqual(tool.returncode, 1)

    def test_closed_output_does_not_hang(self):
        with Peer(self.folder) as peer:
            read_end, write_end = os.pipe()
            os.close(read_end)
            tool = subprocess.run([DFOTA, "at", "--port", peer.link, "ATI"], stdout=write_end,
                                  stderr=subprocess.PIPE, timeout=30)
            os.close(write_end)
            self.assertNotEqual(tool.returncode, 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
