#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dfota upgrade against scripted modules: everything that a module, its port or its URCs do to a host.

usage: test_host_upgrade.py DFOTA
"""
import json
import os
import pathlib
import pty
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import Peer  # noqa: E402

DFOTA = sys.argv.pop(1)
FAST = ["--answer-timeout", "2", "--news-timeout", "2", "--settle", "0.4", "--upload-timeout", "2"]


def reboot(peer, version=None):
    """The port goes and comes back; waits until the host is there again."""
    peer.down()
    yield 0.05
    if version:
        peer.version = version
    peer.echo = True
    peer.up()
    yield peer.greeted


def update(peer, percents=(0, 37, 100)):
    peer.fota("START")
    for percent in percents:
        yield 0.01
        peer.fota("UPDATING", percent)


def local_plan(peer):
    yield from reboot(peer)
    yield from update(peer)
    yield 0.01
    peer.fota("END", 0)
    yield 0.05
    yield from reboot(peer, "APP02")


def url_plan(peer):
    peer.fota("HTTPSTART")
    yield 0.05
    peer.fota("HTTPEND", 0)
    yield 0.05
    yield from local_plan(peer)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.package = os.path.join(self.folder, "update v1.zip")
        pathlib.Path(self.package).write_bytes(os.urandom(5 * 1024 + 77))

    def upgrade(self, peer, *arguments, source=("--ufs", "update.zip"), times=FAST):
        result = subprocess.run([DFOTA, "upgrade", "--port", peer.link, *source, *times, "--json", *arguments],
                                capture_output=True, text=True, timeout=60)
        self.assertEqual(result.stderr, "")
        self.events = [json.loads(line) for line in result.stdout.splitlines()]
        last = self.events[-1]
        self.assertEqual(last["event"], "result")
        self.assertEqual([e["event"] for e in self.events].count("result"), 1)
        self.assertEqual(last["exit"], result.returncode, last)
        return last

    def stages(self):
        return [e["stage"] for e in self.events if e["event"] == "stage"]

    def succeeds(self, result, version="APP02"):
        self.assertEqual((result["exit"], result["code"], result["version"]), (0, 0, version), result)


class Success(Case):
    def test_url(self):
        with Peer(self.folder, plan=url_plan) as peer:
            self.succeeds(self.upgrade(peer, source=("--url", "http://server/p.zip")))
            self.assertEqual(peer.requests, ['"http://server/p.zip"'])
        self.assertEqual(self.stages(), ["connect", "request", "download", "reboot", "update", "restart", "check"])
        self.assertEqual([e["done"] for e in self.events if e["event"] == "progress"], [0, 37, 100])

    def test_file_is_uploaded_whole_and_removed_afterwards(self):
        kept = {}

        def plan(peer):
            kept.update(peer.files)
            yield from local_plan(peer)

        with Peer(self.folder, plan=plan) as peer:
            peer.files["update_v1.zip"] = b"stale"
            self.succeeds(self.upgrade(peer, source=("--file", self.package)))
            self.assertEqual(peer.requests, ['"/cache/ufs/update_v1.zip"'])
            self.assertEqual(peer.files, {})
        self.assertEqual(kept, {"update_v1.zip": pathlib.Path(self.package).read_bytes()})

    def test_upload_sizes_around_the_acknowledged_block(self):
        for size in (1, 2, 1023, 1024, 1025, 2047, 2048, 2049, 300001):
            with self.subTest(size=size):
                data = os.urandom(size)
                pathlib.Path(self.package).write_bytes(data)
                seen = {}

                def plan(peer):
                    seen.update(peer.files)
                    yield from local_plan(peer)

                with Peer(self.folder, plan=plan) as peer:
                    self.succeeds(self.upgrade(peer, source=("--file", self.package)))
                self.assertEqual(seen["update_v1.zip"], data)

    def test_all_byte_by_byte(self):
        with Peer(self.folder, plan=url_plan) as peer:
            peer.trickle = True
            self.succeeds(self.upgrade(peer, source=("--url", "http://server/p.zip")))

    def test_expected_version(self):
        with Peer(self.folder, plan=local_plan) as peer:
            self.succeeds(self.upgrade(peer, "--expect-version", "APP02"))

    def test_expected_version_runs_already(self):
        with Peer(self.folder, version="APP02", plan=local_plan) as peer:
            self.succeeds(self.upgrade(peer, "--expect-version", "APP02"))
            self.assertEqual(peer.requests, [])

    def test_version_only_in_cgmr(self):
        with Peer(self.folder, plan=local_plan) as peer:
            peer.answers["ATI"] = "\r\nMaker\r\nModel\r\n\r\nOK\r\n"
            peer.answers["AT+CGMR"] = lambda p, _: p.send(f"\r\n{p.version}\r\n\r\nOK\r\n")
            self.succeeds(self.upgrade(peer, "--expect-version", "APP02"))

    def test_expected_version_in_its_long_form(self):
        with Peer(self.folder, plan=local_plan) as peer:
            peer.answers["AT+QGMR"] = lambda p, _: p.send(f"\r\n{p.version}_01.002.01.002\r\n\r\nOK\r\n")
            self.succeeds(self.upgrade(peer, "--expect-version", "APP02_01.002.01.002"), "APP02_01.002.01.002")

    def test_other_spellings(self):
        def plan(peer):
            peer.urc('+qind: "fota","ftpstart"')
            yield 0.05
            peer.urc('+QIND:"FOTA", "FTPEnd",  0')
            yield 0.05
            yield from reboot(peer)
            peer.send('+QIND: "FOTA" , "Start"\n')
            peer.send('\r\r\n+QIND: "FOTA","UPDATING", 50\r\n+QIND: "FOTA","UPDATING",100\r\n\n')
            peer.send('+QIND: "FOTA","End", 0\r')
            yield 0.1
            yield from reboot(peer, "APP02")

        with Peer(self.folder, plan=plan) as peer:
            self.succeeds(self.upgrade(peer, source=("--url", "ftp://server/p.zip")))
        self.assertIn("download", self.stages())
        self.assertEqual([e["done"] for e in self.events if e["event"] == "progress"], [50, 100])

    def test_junk_and_other_urcs_in_between(self):
        def plan(peer):
            yield from reboot(peer)
            peer.send(bytes(range(256)) + b"\r\n" + b"x" * 5000 + b"\r\n")
            peer.urc("RDY")
            peer.urc('+QIND: SMS DONE')
            peer.urc('+QIND: "FOTA","UPDATING"')
            peer.urc('+QIND: "FOTA","UPDATING",99999999999999999999')
            peer.urc('+QIND: "FOTA","SOMETHING",5')
            peer.fota("START")
            yield 0.05
            peer.fota("END", 0)
            yield 0.05
            yield from reboot(peer, "APP02")

        with Peer(self.folder, plan=plan) as peer:
            peer.send(b"\x00\xff\x1b[31mstale\r\nOK\r\n+QIND: \"FOTA\",\"END\",504\r\n")
            self.succeeds(self.upgrade(peer))
        for event in self.events:
            self.assertTrue(all(32 <= ord(c) < 127 for c in event.get("text", "")), event)

    def test_urcs_inside_responses(self):
        def identify(peer, _):
            peer.send(f'\r\nQuectel\r\n+QIND: "FOTA","UPDATING",20\r\nRG500Q\r\nRevision: {peer.version}\r\n\r\nOK\r\n')

        def plan(peer):
            yield from reboot(peer)
            peer.fota("START")
            peer.answers["ATI"] = identify
            yield 2.6  # the host looks after 2 s of silence
            del peer.answers["ATI"]
            peer.fota("END", 0)
            yield 0.05
            yield from reboot(peer, "APP02")

        with Peer(self.folder, plan=plan) as peer:
            self.succeeds(self.upgrade(peer))
        self.assertEqual([e["done"] for e in self.events if e["event"] == "progress"], [20])

    def test_a_real_serial_line_stays_open(self):
        def plan(peer):
            peer.mute = True
            yield 0.3
            peer.mute, peer.echo = False, True
            peer.urc("RDY")
            yield from update(peer)
            peer.fota("END", 0)
            peer.mute = True
            yield 0.3
            peer.version, peer.mute, peer.echo = "APP02", False, True
            peer.urc("RDY")
            yield 0.5

        with Peer(self.folder, plan=plan) as peer:
            self.succeeds(self.upgrade(peer, "--expect-version", "APP02"))

    def test_retried_by_the_module(self):
        def plan(peer):
            yield from reboot(peer)
            yield from update(peer, (0, 40))
            peer.fota("END", 520)
            yield 0.05
            yield from reboot(peer)
            yield from update(peer, (40, 100))
            peer.fota("END", 0)
            yield 0.05
            yield from reboot(peer, "APP02")

        with Peer(self.folder, plan=plan) as peer:
            result = self.upgrade(peer)
        self.succeeds(result)
        self.assertEqual(result["attempts"], 2)
        self.assertTrue(any("520" in e["text"] for e in self.events if e["event"] == "note"))

    def test_power_cut_in_the_middle(self):
        def plan(peer):
            yield from reboot(peer)
            yield from update(peer, (0, 40))
            peer.down(leave_link=True)
            yield 0.5
            peer.echo = True
            peer.up()
            yield peer.greeted
            yield from update(peer, (39, 100))
            peer.fota("END", 0)
            yield 0.05
            yield from reboot(peer, "APP02")

        with Peer(self.folder, plan=plan) as peer:
            self.succeeds(self.upgrade(peer))

    def test_upload_is_repeated_after_a_wrong_checksum(self):
        with Peer(self.folder, plan=local_plan) as peer:
            peer.spoil_uploads = 1
            self.succeeds(self.upgrade(peer, source=("--file", self.package)))
            self.assertEqual(peer.uploads, 2)

    def test_port_vanishes_during_the_upload(self):
        def drop(peer, line):
            del peer.answers["AT+QFUPL"]
            peer.send("\r\nCONNECT\r\n")
            peer.playing = reboot(peer)

        with Peer(self.folder) as peer:
            peer.answers["AT+QFUPL"] = drop
            peer.plan = local_plan
            self.succeeds(self.upgrade(peer, source=("--file", self.package)))

    def test_path_of_a_sibling_module(self):
        def request(peer, line):
            if "/data/ufs/" in line:
                peer._request(line.partition("=")[2])
            else:
                peer.send("\r\n+CME ERROR: 405\r\n")

        with Peer(self.folder, plan=local_plan) as peer:
            peer.answers["AT+QFOTADL"] = request
            self.succeeds(self.upgrade(peer))
            self.assertEqual(peer.requests, ['"/data/ufs/update.zip"'])

    def test_module_left_with_numeric_answers(self):
        with Peer(self.folder, plan=local_plan) as peer:
            said = peer.answers
            said["AT"] = lambda p, _: p.send("0\r")  # as after ATV0
            said["ATQ0V1"] = lambda p, _: (said.pop("AT"), p.send("\r\nOK\r\n"))
            self.succeeds(self.upgrade(peer, times=[*FAST, "--answer-timeout", "6"]))

    def test_module_left_in_data_mode(self):
        """Every probe prolongs the data mode: only +++ after a silence ends it."""
        with Peer(self.folder, plan=local_plan) as peer:
            peer.data = ("left", 1 << 20, bytearray())
            self.succeeds(self.upgrade(peer, times=[*FAST, "--answer-timeout", "12"]))

    def test_nobody_reads_the_events(self):
        with Peer(self.folder, plan=local_plan) as peer:
            read_end, write_end = os.pipe()
            os.close(read_end)
            tool = subprocess.run([DFOTA, "upgrade", "--port", peer.link, "--ufs", "p", "--json", *FAST],
                                  stdout=write_end, timeout=60)
            os.close(write_end)
            self.assertEqual((tool.returncode, peer.version), (0, "APP02"))


class LostNews(Case):
    def test_end_lost_while_the_port_is_away(self):
        def plan(peer):
            yield from reboot(peer)
            yield from update(peer)
            yield from reboot(peer, "APP02")

        for expected in (["--expect-version", "APP02"], []):
            with self.subTest(expected=expected), Peer(self.folder, plan=plan) as peer:
                self.succeeds(self.upgrade(peer, *expected))

    def test_all_urcs_lost(self):
        def plan(peer):
            yield from reboot(peer)
            yield 0.1
            yield from reboot(peer, "APP02")

        with Peer(self.folder, plan=plan) as peer:
            self.succeeds(self.upgrade(peer, "--expect-version", "APP02", source=("--url", "http://server/p")))

    def test_start_lost(self):
        def plan(peer):
            yield from reboot(peer)
            peer.fota("UPDATING", 12)
            yield 0.01
            peer.fota("END", 0)
            yield 0.05
            yield from reboot(peer, "APP02")

        with Peer(self.folder, plan=plan) as peer:
            result = self.upgrade(peer)
        self.succeeds(result)
        self.assertEqual(result["attempts"], 1)

    def test_answer_to_the_request_lost(self):
        def request(peer, _):
            peer.playing = local_plan(peer)

        with Peer(self.folder) as peer:
            peer.answers["AT+QFOTADL"] = request
            self.succeeds(self.upgrade(peer))

    def test_new_version_before_the_upgrade_has_ended(self):
        """A module may name the new version while it still upgrades: later URCs overrule it."""
        def plan(peer):
            yield from reboot(peer, "APP02")
            yield 0.1
            yield from update(peer, (50,))
            peer.fota("END", 510)
            yield 0.05
            yield from reboot(peer, "APP01")

        with Peer(self.folder, plan=plan) as peer:
            result = self.upgrade(peer, "--expect-version", "APP02")
        self.assertEqual((result["exit"], result["code"]), (1, 510))


class Failure(Case):
    def fails(self, result, exit_code, code, *words):
        self.assertEqual((result["exit"], result["code"]), (exit_code, code), result)
        for word in words:
            self.assertIn(word, result["text"])

    def test_download_errors(self):
        for scheme, what, code in (("ftp", "FTPEND", 601), ("http", "HTTPEND", 701), ("https", "HTTPEND", 711)):
            def plan(peer):
                peer.fota(what.replace("END", "START"))
                yield 0.05
                peer.fota(what, code)

            with self.subTest(code=code), Peer(self.folder, plan=plan) as peer:
                self.fails(self.upgrade(peer, source=("--url", scheme + "://server/p")), 1, code, str(code),
                           "APP01", "nothing was changed")

    def test_the_reason_of_a_failed_download(self):
        """Our module says END with a code of its own after HTTPEND when the package is too large or does not fit."""
        for code in (511, 550):
            def plan(peer):
                peer.fota("HTTPSTART")
                yield 0.05
                peer.fota("HTTPEND", 701)
                yield 0.1
                peer.fota("END", code)

            with self.subTest(code=code), Peer(self.folder, plan=plan) as peer:
                self.fails(self.upgrade(peer, source=("--url", "http://server/p")), 1, code, str(code), "APP01",
                           "nothing was changed")

    def test_refusals_of_the_package(self):
        for code in (504, 505, 510, 511, 550):
            def plan(peer):
                yield from reboot(peer)
                peer.fota("START")
                yield 0.02
                peer.fota("END", code)
                yield 0.05
                yield from reboot(peer)

            with self.subTest(code=code), Peer(self.folder, plan=plan) as peer:
                self.fails(self.upgrade(peer), 1, code, str(code), "APP01", "nothing was changed")

    def test_five_failures(self):
        def plan(peer):
            for _ in range(5):
                yield from reboot(peer)
                yield from update(peer, (0,))
                peer.fota("END", 521)
                yield 0.05
            yield from reboot(peer)

        with Peer(self.folder, plan=plan) as peer:
            result = self.upgrade(peer)
        self.fails(result, 1, 521, "521", "APP01")
        self.assertEqual(result["attempts"], 5)

    def test_failure_that_is_not_retried(self):
        def plan(peer):
            yield from reboot(peer)
            yield from update(peer, (0,))
            peer.fota("END", 502)
            yield 0.05
            yield from reboot(peer)

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 1, 502, "502")

    def test_unknown_code(self):
        def plan(peer):
            yield from reboot(peer)
            peer.fota("START")
            yield 0.01
            peer.fota("END", 599)
            yield 0.05
            yield from reboot(peer)

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 1, 599, "599")

    def test_wrong_version_in_the_end(self):
        def plan(peer):
            yield from reboot(peer)
            yield from update(peer)
            peer.fota("END", 0)
            yield 0.05
            yield from reboot(peer, "APP03")

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer, "--expect-version", "APP02"), 1, 0, "APP03", "APP02")

    def test_same_version_in_the_end(self):
        def plan(peer):
            yield from reboot(peer)
            peer.fota("END", 0)
            yield 0.05
            yield from reboot(peer)

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 1, 0, "APP01")

    def test_module_never_comes_back(self):
        def plan(peer):
            peer.down()
            yield 0

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 4, -1, "come back")

    def test_module_never_comes_back_from_a_failure(self):
        def plan(peer):
            yield from reboot(peer)
            peer.fota("END", 510)
            yield 0.05
            peer.down()

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 4, 510, "510", "come back")

    def test_module_comes_back_mute(self):
        def plan(peer):
            peer.down()
            peer.mute = True
            yield 0.1
            peer.up()

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 4, -1, "answer")

    def test_no_news_after_the_reboot(self):
        def plan(peer):
            yield from reboot(peer)

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 1, -1, "APP01", "no news")

    def test_update_that_stalls(self):
        def plan(peer):
            yield from reboot(peer)
            yield from update(peer, (10,))

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer, times=[*FAST, "--news-timeout", "0.7"]), 1, -1, "no news")

    def test_download_that_never_begins(self):
        with Peer(self.folder) as peer:
            self.fails(self.upgrade(peer, "--download-timeout", "3", source=("--url", "http://server/p"),
                                    times=[*FAST, "--news-timeout", "1"]), 4, -1, "download")
        self.assertTrue(any("data call" in e["text"] for e in self.events if e["event"] == "note"))

    def test_port_that_flaps(self):
        def plan(peer):
            while True:
                yield from reboot(peer)

        with Peer(self.folder, plan=plan) as peer:
            self.fails(self.upgrade(peer), 4, -1, "came and went")

    def test_request_refused(self):
        with Peer(self.folder) as peer:
            peer.answers["AT+QFOTADL"] = "\r\nERROR\r\n"
            self.fails(self.upgrade(peer, source=("--url", "gopher://x/y")), 1, -1, "ERROR")

    def test_checksum_wrong_twice(self):
        with Peer(self.folder) as peer:
            peer.spoil_uploads = 2
            self.fails(self.upgrade(peer, source=("--file", self.package)), 1, -1, "checksum", "not touched")
            self.assertEqual((peer.uploads, peer.requests), (2, []))

    def test_no_space_for_the_upload(self):
        with Peer(self.folder) as peer:
            peer.free = 1000
            self.fails(self.upgrade(peer, source=("--file", self.package)), 1, -1, "1000 bytes free")
            self.assertEqual((peer.uploads, peer.requests), (0, []))

    def test_upload_refused(self):
        with Peer(self.folder) as peer:
            peer.answers["AT+QFUPL"] = "\r\n+CME ERROR: 409\r\n"
            self.fails(self.upgrade(peer, source=("--file", self.package)), 1, -1, "409")

    def test_upload_fails_in_the_middle(self):
        def break_off(peer, _):
            peer.send("\r\nCONNECT\r\nA\r\n+CME ERROR: 409\r\n")

        with Peer(self.folder) as peer:
            peer.answers["AT+QFUPL"] = break_off
            self.fails(self.upgrade(peer, source=("--file", self.package)), 1, -1, "refused")

    def test_no_acknowledgements(self):
        with Peer(self.folder) as peer:
            peer.answers["AT+QFUPL"] = "\r\nCONNECT\r\n"
            pathlib.Path(self.package).write_bytes(bytes(5 * 1024)) # no command by chance: the peer takes lines all the time
            self.fails(self.upgrade(peer, source=("--file", self.package), times=[*FAST, "--upload-timeout", "0.5"]),
                       4, -1, "uploading")

    def test_mute_from_the_start(self):
        with Peer(self.folder) as peer:
            peer.mute = True
            self.fails(self.upgrade(peer, times=[*FAST, "--answer-timeout", "1"]), 4, -1, "not touched")

    def test_no_port(self):
        with Peer(self.folder) as peer:
            peer.link += "x"
            self.fails(self.upgrade(peer, times=["--answer-timeout", "0.3"]), 4, -1, "did not appear")
            peer.link = peer.link[:-1]

    def test_not_a_port(self):
        with Peer(self.folder) as peer:
            link, peer.link = peer.link, self.package
            self.fails(self.upgrade(peer), 2, -1, "not a serial port")
            peer.link = link

    def test_missing_empty_and_odd_packages(self):
        empty = os.path.join(self.folder, "empty")
        pathlib.Path(empty).touch()
        for path in (self.package + "x", empty, self.folder):
            with self.subTest(path=path), Peer(self.folder) as peer:
                self.fails(self.upgrade(peer, source=("--file", path)), 1, -1, "Nothing was sent")

    def test_targets_that_no_command_can_carry(self):
        for url in ('http://a/"b', "http://a/\rATD", "http://a/" + "x" * 512, "", "http://a/\xe4"):
            with self.subTest(url=url), Peer(self.folder) as peer:
                self.fails(self.upgrade(peer, source=("--url", url)), 2, -1, "Nothing was sent")
                self.assertEqual(peer.requests, [])

    def test_two_tools_at_one_port(self):
        def plan(peer):
            yield 5

        with Peer(self.folder, plan=plan) as peer:
            first = subprocess.Popen([DFOTA, "upgrade", "--port", peer.link, "--ufs", "p"], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
            try:
                wait_for(lambda: peer.requests)
                self.fails(self.upgrade(peer, times=["--answer-timeout", "0.3"]), 1, -1, "Another program")
            finally:
                first.kill()
                first.communicate()


class Noise(Case):
    """Whatever comes, the tool ends in time, with one result and nothing but printable text."""

    TOKENS = [b"\r\n", b"\r\nOK\r\n", b"\r\nERROR\r\n", b"\r\n+CME ERROR: ", b"\r\nCONNECT\r\n", b"A", b"AAAA",
              b"\r\n+QFUPL: 5197,", b"\r\nRevision: ", b"\r\nRDY\r\n", b'\r\n+QIND: "FOTA","START"\r\n',
              b'\r\n+QIND: "FOTA","UPDATING",', b'\r\n+QIND: "FOTA","END",', b'\r\n+QIND: "FOTA","HTTPEND",', b'"', b",",
              b"0\r\n", b"-1\r\n", b"505\r\n", b"99999999999999999999\r\n", b"\x00", b"\xff\xfe", b"\x1b[2J", b"x" * 2000]

    def test_noise(self):
        for seed in range(8):
            rng = random.Random(seed)

            def noise():
                return b"".join(rng.choice(self.TOKENS) for _ in range(rng.randrange(12)))

            def plan(peer):
                for _ in range(rng.randrange(12)):
                    peer.send(noise())
                    yield rng.random() / 10
                    if rng.random() < 0.3:
                        peer.down()
                        yield 0.02
                        peer.up()

            def answer(peer, _):
                # often enough right, so that all parts of the procedure are reached
                peer.send(noise() + (b"\r\nOK\r\n" if rng.random() < 0.7 else b""))

            with self.subTest(seed=seed), Peer(self.folder, plan=plan) as peer:
                for command in ("AT+QFLDS", "AT+QFDEL", "AT+CMEE", "ATE0", "ATI"):
                    peer.answers[command] = answer
                source = ("--file", self.package) if seed % 2 else ("--url", "http://server/p")
                result = self.upgrade(peer, source=source, times=[
                    "--answer-timeout", "0.5", "--command-timeout", "0.3", "--news-timeout", "0.5", "--settle", "0.1",
                    "--upload-timeout", "0.3", "--download-timeout", "1"])
                self.assertIn(result["exit"], (0, 1, 4))
                for event in self.events:
                    for text in event.values():
                        self.assertTrue(not isinstance(text, str) or text.isascii() and text.isprintable(), event)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


class Interrupt(Case):
    def interrupted(self, peer, condition, *arguments):
        tool = subprocess.Popen([DFOTA, "upgrade", "--port", peer.link, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        wait_for(condition)
        tool.send_signal(signal.SIGINT)
        _, talk = tool.communicate(timeout=20)
        self.assertEqual(tool.returncode, 1)
        return talk

    def test_after_the_request_says_that_the_module_goes_on(self):
        with Peer(self.folder) as peer:
            talk = self.interrupted(peer, lambda: peer.requests, "--ufs", "p.zip")
            self.assertIn("goes on by itself", talk)
            self.assertIn(f"dfota at --port {peer.link} ATI", talk)

    def test_before_the_request_says_that_nothing_was_touched(self):
        with Peer(self.folder) as peer:
            peer.mute = True
            talk = self.interrupted(peer, lambda: peer.commands, "--ufs", "p.zip")
            self.assertIn("not touched", talk)


class Talk(Case):
    def test_people_get_versions_and_the_outcome(self):
        with Peer(self.folder, plan=local_plan) as peer:
            result = subprocess.run([DFOTA, "upgrade", "--port", peer.link, "--ufs", "p.zip", *FAST],
                                    capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (0, "Upgraded from APP01 to APP02.\n"))
        self.assertNotIn("\r", result.stderr)  # no bar where there is no terminal

    def test_on_a_terminal_the_upload_tells_its_speed_and_the_time_that_is_left(self):
        pathlib.Path(self.package).write_bytes(os.urandom(60 * 1024))
        shown = bytearray()
        with Peer(self.folder, plan=local_plan) as peer:
            peer.pace_s = 0.06
            master, slave = pty.openpty()
            tool = subprocess.Popen([DFOTA, "upgrade", "--port", peer.link, "--file", self.package, *FAST], stdout=subprocess.DEVNULL,
                                    stderr=slave)
            os.close(slave)
            while True:
                try:
                    shown += os.read(master, 65536)
                except OSError:
                    break
            os.close(master)
            self.assertEqual(tool.wait(20), 0)
        self.assertRegex(shown.decode(), r"uploading +\[#+\.+\] +\d+ %  [\d.]+ KiB  [\d.]+ KiB/s  \d+ s left")

    def test_password_is_never_shown(self):
        def plan(peer):
            peer.fota("FTPSTART")
            yield 0.05
            peer.fota("FTPEND", 601)

        with Peer(self.folder, plan=plan) as peer:
            self.upgrade(peer, source=("--url", "ftp://u:geheim@server/p"))
        self.assertNotIn("geheim", json.dumps(self.events))


if __name__ == "__main__":
    unittest.main(verbosity=2)
