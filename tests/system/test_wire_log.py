#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The wire log of an upgrade of a real module, and the module that is played from it.

usage: test_wire_log.py DFOTA DFOTAD
"""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, wait_for  # noqa: E402
from servers import Ftp  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)
TIMES = ["--news-timeout", "60", "--settle", "1", "--json"]
SECRET = "s3cr3t"


def setUpModule():
    global SITE, LOG
    SITE = Site(DFOTA, DFOTAD).__enter__()
    SITE.synthetic()
    unittest.addModuleCleanup(SITE.__exit__, None, None, None)
    LOG = SITE.folder / "upload.log"


def records(path):
    lines = path.read_text(encoding="ascii").splitlines()
    return lines[0], [re.fullmatch(r"(\d+\.\d{6}) (open|close|[<>] .*)", line) for line in lines[1:]]


def unescaped(text):
    return re.sub(rb"\\(?:x(..)|(.))", lambda m: bytes([int(m[1], 16)]) if m[1] else {b"r": b"\r", b"n": b"\n", b"\\": b"\\"}[m[2]],
                  text.encode())


class Case(unittest.TestCase):
    def upgrade(self, port, *words, expect=0, errors=""):
        result = subprocess.run([DFOTA, "upgrade", "--port", str(port), *map(str, words), *TIMES], capture_output=True, text=True,
                                timeout=200, check=False)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        self.assertIn(errors, result.stderr)
        events = [json.loads(line) for line in result.stdout.splitlines()]
        return events[-1], [event["text"] for event in events if event["event"] == "urc"]

    def module(self, name):
        module = SITE.module(name)
        self.addCleanup(shutil.rmtree, module.folder, ignore_errors=True)
        self.addCleanup(module.close)
        module.start()
        module.wait_boot("normal")
        return module

    def recorded(self):
        """The log of an upload and upgrade, made once; its result and URCs."""
        if not LOG.exists():
            Case.seen = self.upgrade(self.module("recorded").folder / "at", "--file", SITE.up, "--log", LOG)
        return Case.seen

    def played(self, log, *words):
        link = SITE.folder / "played"
        player = subprocess.Popen([DFOTA, "at", "--replay", str(log), "--link", str(link), *words], stderr=subprocess.PIPE, text=True)
        self.addCleanup(player.stderr.close)
        self.addCleanup(player.kill)
        wait_for(link.is_symlink, what="the played port")
        return player, link

    def ended(self, player, code):
        text = player.stderr.read()
        self.assertEqual(player.wait(60), code, text)
        return text


class Log(Case):
    def test_every_byte_with_its_time(self):
        self.recorded()
        head, lines = records(LOG)
        self.assertEqual(head, "# dfota wire log 1")
        self.assertNotIn(None, lines)
        times = [float(line[1]) for line in lines]
        self.assertEqual(times, sorted(times))
        self.assertEqual([line[2] for line in lines if line[2] in ("open", "close")].count("open"), 3)
        sent = b"".join(unescaped(line[2][2:]) for line in lines if line[2].startswith("> "))
        self.assertIn(SITE.up.read_bytes(), sent)
        self.assertRegex(sent, rb'AT\+QFOTADL="/?[^"]*up.zip"\r')
        heard = b"".join(unescaped(line[2][2:]) for line in lines if line[2].startswith("< "))
        self.assertIn(b'\r\n+QIND: "FOTA","END",0\r\n', heard)
        self.assertEqual(stat.S_IMODE(LOG.stat().st_mode), 0o600)

    def test_no_password_even_where_the_module_echoes_it(self):
        with Ftp(SITE.folder, "maria", SECRET) as server:
            module, log = self.module("secret"), SITE.folder / "secret.wire"
            url = f"{server.url}/{SITE.up.name}"
            self.assertIn(SECRET, url)
            result = subprocess.run([DFOTA, "at", "--port", str(module.folder / "at"), "--log", str(log), "ATE1", f'AT+QFOTADL="{url}"'],
                                    capture_output=True, text=True, timeout=60, check=True)
            self.assertIn("OK", result.stdout)
        text = log.read_text()
        self.assertNotIn(SECRET, text)
        self.assertEqual(len(re.findall(r"maria:\*\*\*@", text)), 2, text)

    def test_no_password_of_any_command_however_it_looks(self):
        module, log = self.module("secrets"), SITE.folder / "secrets.wire"
        secrets = ["ge?heim", "s3c#ret", "x" * 150]
        apns = [f'AT+CGDCONT={number},"IP","ftp://u:{secret}@h"' for number, secret in enumerate(secrets[:2], 2)]
        result = subprocess.run([DFOTA, "at", "--port", str(module.folder / "at"), "--log", str(log), "ATE1", *apns, "AT+CGDCONT?",
                                 f'AT+QFLST="ftp://u:{secrets[2]}@h"'],
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertIn(f'+CGDCONT: 2,"IP","ftp://u:{secrets[0]}@h"', result.stdout)
        text = log.read_text()
        for secret in secrets:
            self.assertNotIn(secret, text)
            self.assertNotIn(secret[-4:], text)
        self.assertGreaterEqual(text.count("u:***@h"), 6)

    def test_a_second_source_is_refused_without_saying_its_password(self):
        result = subprocess.run([DFOTA, "upgrade", "--port", "/dev/null", "--file", "a", "--url", "ftp://u:pass1@h/p"],
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertNotIn("pass1", result.stdout + result.stderr)

    def test_a_log_that_fails_on_the_way_does_not_stop_the_upgrade(self):
        module, log = self.module("fails"), SITE.folder / "fifo"
        os.mkfifo(log)
        reader = threading.Thread(target=lambda: subprocess.run(["head", "-n", "1", log], stdout=subprocess.DEVNULL, check=False))
        reader.start()
        result, _ = self.upgrade(module.folder / "at", "--file", SITE.up, "--log", log, errors="could not be written to its end")
        reader.join()
        self.assertEqual(result["code"], 0)

    def test_a_log_that_cannot_be_made_is_told_before_anything_is_sent(self):
        result = subprocess.run([DFOTA, "upgrade", "--port", "/dev/null", "--file", str(SITE.up), "--log", "/no/such/folder/log"],
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("nothing was sent", result.stderr)
        result = subprocess.run([DFOTA, "upgrade", "--port", "/dev/null", "--file", str(SITE.up), "--log", "/no/such/folder/log", "--json"],
                                capture_output=True, text=True, timeout=60, check=False)
        last = json.loads(result.stdout.splitlines()[-1])
        self.assertEqual((result.returncode, last["event"], last["exit"]), (1, "result", 1))


class Replay(Case):
    def test_the_played_module_is_upgraded_alike(self):
        before = self.recorded()
        player, link = self.played(LOG)
        after = self.upgrade(link, "--file", SITE.up)
        self.ended(player, 0)
        self.assertEqual(after[0]["module"], str(link))
        self.assertEqual((after[0] | {"module": ""}, after[1]), (before[0] | {"module": ""}, before[1]))
        self.assertFalse(link.is_symlink())

    def test_a_host_that_departs_is_told_where(self):
        self.recorded()
        log = SITE.folder / "other.log"
        log.write_text(LOG.read_text().replace("AT+QFOTADL", "AT+QFOTAXL"))
        line = next(i for i, text in enumerate(log.read_text().splitlines(), 1) if "QFOTAXL" in text)
        player, link = self.played(log)
        subprocess.run([DFOTA, "upgrade", "--port", str(link), "--file", str(SITE.up), "--news-timeout", "1", "--answer-timeout", "1"],
                       capture_output=True, timeout=120, check=False)
        self.assertIn(f"other.log:{line}: the host does not do what the log has", self.ended(player, 1))

    def test_what_is_no_log(self):
        for text, word in (("", "does not begin"), ("# dfota wire log 2\n", "does not begin"),
                           ("# dfota wire log 1\nopen\n", ":2: this is no line"), ("# dfota wire log 1\n0.000000 > AT\n", "port is away"),
                           ("# dfota wire log 1\n0.000000 > A\\q\n", ":2: this is no line")):
            with self.subTest(text):
                log = SITE.folder / "bad.log"
                log.write_text(text)
                result = subprocess.run([DFOTA, "at", "--replay", str(log), "--link", str(SITE.folder / "bad")], capture_output=True,
                                        text=True, timeout=60, check=False)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(word, result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
