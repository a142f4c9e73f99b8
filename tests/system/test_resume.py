#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A host that is killed in the middle, and runs again: it finds where the module is, and goes on. Rows A9, A10, E2.

usage: test_resume.py DFOTA DFOTAD
"""
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, wait_for  # noqa: E402
from peer import Peer  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)
TIMES = ["--news-timeout", "60", "--settle", "8"]


def setUpModule():
    global SITE
    SITE = Site(DFOTA, DFOTAD).__enter__()
    SITE.synthetic()
    unittest.addModuleCleanup(SITE.__exit__, None, None, None)


class Slow(http.server.BaseHTTPRequestHandler):
    """Half of the package at once, the rest when self.server.more is set."""

    def do_GET(self):
        data = SITE.up.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:len(data) // 2])
        self.wfile.flush()
        self.server.half.set()
        self.server.more.wait(60)
        self.wfile.write(data[len(data) // 2:])

    def log_message(self, *_):
        pass


class Case(unittest.TestCase):
    def command(self, port, *arguments):
        return [DFOTA, "upgrade", "--port", str(port), "--json", *map(str, arguments)]

    def kill_when(self, condition, command):
        """Runs until an event fulfils the condition, then kills. Returns the events so far."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        events = []
        for line in process.stdout:
            events.append(json.loads(line))
            if condition(events[-1]):
                break
        else:
            self.fail(f"ended before it could be killed: {events[-3:]}")
        process.kill()
        process.stdout.close()
        process.wait()
        return events

    def again(self, command, expect=0):
        result = subprocess.run(command, capture_output=True, text=True, timeout=200)
        self.events = [json.loads(line) for line in result.stdout.splitlines()]
        self.notes = [event["text"] for event in self.events if event["event"] == "note"]
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return self.events[-1]


def stage(name):
    return lambda event: event["event"] == "stage" and event["stage"] == name


def uploaded(bytes_):
    return lambda event: event["event"] == "progress" and event["stage"] == "upload" and event["done"] >= bytes_


class Started(Case):
    """Real modules. The reports are held back for a while, as real ones do, so that the second run comes in between."""

    def start(self, **ini):
        self.module = SITE.module(f"module-{self.id().rsplit('.', 1)[1]}", **{"urc_settle_ms": 1500, "reboot_ms": 300, **ini})
        self.addCleanup(shutil.rmtree, self.module.folder, ignore_errors=True)
        self.addCleanup(self.module.log_path.unlink, missing_ok=True)
        self.addCleanup(self.module.close)
        self.module.start()
        self.port = self.module.folder / "at"
        wait_for(self.port.is_symlink, what="the port")


class Modules(Started):
    def check(self, result):
        self.assertEqual((result["exit"], result["version"]), (0, "v13"), result)
        self.module.wait_boot("v13, normal")
        self.assertEqual(self.module.images(), SITE.expected("v13"))
        self.assertEqual(list((self.module.folder / "ufs").iterdir()), [])
        self.assertEqual(self.module.log().count("boot:"), 3)  # one upgrade, not two

    def test_killed_at_each_stage(self):
        size = SITE.up.stat().st_size
        stages = [("connect", stage("connect")), ("before the upload", stage("upload")), ("in the upload", uploaded(size // 2)),
                  ("after the upload", uploaded(size)), ("request", stage("request")), ("reboot", stage("reboot")), ("update", stage("update")),
                  ("restart", stage("restart")), ("check", stage("check"))]
        for name, condition in stages:
            with self.subTest(name):
                self.start()
                command = self.command(self.port, "--file", SITE.up, *TIMES)
                self.kill_when(condition, command)
                self.check(self.again(command))
                self.doCleanups()

    def test_killed_twice_in_an_upgrade_that_fails_twice(self):
        self.start(fault_end="502,2,50")
        command = self.command(self.port, "--file", SITE.up, *TIMES)
        self.kill_when(stage("update"), command)
        self.kill_when(stage("update"), command)
        result = self.again(command)
        self.assertEqual((result["exit"], result["version"]), (0, "v13"), result)
        self.assertIn("An upgrade is under way already; following it.", self.notes)
        self.assertEqual(self.module.images(), SITE.expected("v13"))

    def test_killed_in_an_upgrade_that_is_lost(self):
        """The second run tells the verdict that the first would have told."""
        self.start(fault_end="521,5,30")
        command = self.command(self.port, "--file", SITE.up, *TIMES)
        self.kill_when(stage("update"), command)
        result = self.again(command, 1)
        self.assertEqual(result["code"], 521, result)
        self.assertIn("Run the same command again", result["text"])

    def test_killed_in_a_download(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
        server.half, server.more = threading.Event(), threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(server.more.set)
        self.start()
        command = self.command(self.port, "--url", f"http://127.0.0.1:{server.server_port}/up.zip", "--expect-version", "v13", *TIMES)
        self.kill_when(stage("download"), command)
        server.half.wait(20)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines = []
        while not any("Looking whether an upgrade" in line for line in lines):
            lines.append(process.stdout.readline())
        server.more.set()
        rest, _ = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 0, rest)
        self.check(json.loads(rest.splitlines()[-1]))

    def test_run_again_long_after_it_has_ended(self):
        self.start()
        command = self.command(self.port, "--file", SITE.up, *TIMES)
        self.kill_when(stage("reboot"), command)
        self.module.wait_boot("v13, normal")
        result = self.again(command)
        self.assertIn("already; nothing was sent", result["text"])
        self.check(result)


class Watch(Started):
    """`dfota watch` tells what another program has begun."""

    def watched(self, expect=0, begin=True):
        if begin:
            name = self.module.put(SITE.up)
            subprocess.run([DFOTA, "at", "--port", str(self.port), f'AT+QFOTADL="{name}"'], stdout=subprocess.DEVNULL, timeout=60, check=True)
        return self.again([DFOTA, "watch", "--port", str(self.port), "--json", *TIMES], expect)

    def test_to_the_new_version(self):
        self.start()
        result = self.watched()
        self.assertEqual((result["code"], result["version"]), (0, "v13"), result)
        self.assertEqual(self.module.images(), SITE.expected("v13"))

    def test_to_the_fifth_error(self):
        self.start(fault_end="521,5,30")
        self.assertEqual(self.watched(1)["code"], 521)

    def test_nothing_is_under_way(self):
        self.start()
        result = self.again([DFOTA, "watch", "--port", str(self.port), "--json", "--news-timeout", "1"], 4)
        self.assertRegex(result["text"], "No upgrade was heard of in 1 s. The module runs v12")
        self.assertNotIn("upgrade: attempt", self.module.log())

    def test_takes_no_package(self):
        result = subprocess.run([DFOTA, "watch", "--port", "/dev/null", "--file", str(SITE.up)], capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 2)


FAST = ["--answer-timeout", "3", "--news-timeout", "3", "--settle", "1", "--upload-timeout", "2"]


class Peers(Case):
    """What other modules do."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def busy(self, *plan):
        """A module in the middle of an upgrade: it refuses a request, and sends what `plan` says."""
        def play(peer):
            yield peer.greeted
            yield from plan[0](peer)

        peer = Peer(self.folder)
        peer.answers["AT+QFOTADL"] = "\r\nERROR\r\n"
        peer.playing = play(peer)
        return peer

    def end(self, peer):
        peer.fota("UPDATING", 100)
        yield 0.05
        peer.fota("END", 0)
        yield 0.05
        peer.down()
        yield 0.05
        peer.version, peer.echo = "APP02", True
        peer.up()
        yield peer.greeted

    def test_refuses_and_reports_later(self):
        def plan(peer):
            yield lambda: any(command.startswith("AT+QFOTADL") for command in peer.commands)
            yield 0.3
            yield from self.end(peer)

        with self.busy(plan) as peer:
            result = self.again(self.command(peer.link, "--ufs", "p.zip", *FAST))
        self.assertEqual((result["version"], self.notes[:2]), ("APP02", ["Looking whether an upgrade is under way.",
                                                                         "An upgrade is under way already; following it."]))

    def test_reports_at_once_and_nothing_is_uploaded(self):
        """It need not answer, either."""
        package = pathlib.Path(self.folder) / "p.zip"
        package.write_bytes(b"x" * 3000)
        for mute in (False, True):
            def plan(peer):
                for percent in range(10, 60, 10):
                    peer.fota("UPDATING", percent)
                    yield 0.4
                peer.mute = False
                del peer.answers["ATI"]
                yield from self.end(peer)

            with self.subTest(mute=mute), self.busy(plan) as peer:
                peer.mute = mute
                peer.answers["ATI"] = lambda p, _: (p.fota("UPDATING", 20), p.send(f"\r\nRevision: {p.version}\r\n\r\nOK\r\n"))
                result = self.again(self.command(peer.link, "--file", package, *FAST, "--expect-version", "APP02"))
                self.assertEqual((result["version"], peer.uploads), ("APP02", 0))

    def test_refuses_and_restarts_into_the_new_version(self):
        def plan(peer):
            yield lambda: any(command.startswith("AT+QFOTADL") for command in peer.commands)
            yield 0.3  # the refusal must have arrived before the port goes
            peer.down()
            yield 0.1
            peer.version, peer.echo = "APP02", True
            peer.up()
            yield peer.greeted

        with self.busy(plan) as peer:
            result = self.again(self.command(peer.link, "--ufs", "p.zip", *FAST, "--expect-version", "APP02"))
        self.assertEqual(result["version"], "APP02")

    def test_refuses_and_nothing_is_under_way(self):
        def plan(peer):
            yield 0

        with self.busy(plan) as peer:
            result = self.again(self.command(peer.link, "--url", "http://server/p.zip", *FAST), 1)
        self.assertIn("refused AT+QFOTADL", result["text"])
        self.assertIn("whether an upgrade is under way", result["text"])

    def test_goes_away_in_the_upload_and_comes_back_upgraded(self):
        package = pathlib.Path(self.folder) / "p.zip"
        package.write_bytes(b"x" * 300000)

        def plan(peer):
            yield lambda: peer.uploads
            peer.down()
            yield 0.1
            peer.version, peer.echo = "APP02", True
            peer.up()
            yield peer.greeted

        with self.busy(plan) as peer:
            result = self.again(self.command(peer.link, "--file", package, *FAST, "--expect-version", "APP02"))
            self.assertEqual((result["version"], peer.uploads), ("APP02", 1))
        self.assertIn("by an upgrade that was under way", result["text"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
