#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The whole way, real programs only: `dfota upgrade` drives a dfotad that downloads from nginx and pyftpdlib, and reverts.

usage: test_end_to_end.py DFOTA DFOTAD

Then everything that must be refused, with its code, no byte of flash written, and a module that still answers; and
the codes that need a flash that fails. Rows S2, S4, A4-A11, D1, E1-E4.
"""
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, images, member_at, wait_for, write_firmware  # noqa: E402
from servers import Cutter, Ftp, Nginx, free_port, make_certificate  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)
# A test's module answers in milliseconds; nothing is given up early for it.
QUICK = ["--news-timeout", "60", "--settle", "1", "--json"]
NAME = "/cache/ufs/update.zip"


def setUpModule():
    global SITE
    SITE = Site(DFOTA, DFOTAD).__enter__()
    SITE.synthetic()
    unittest.addModuleCleanup(SITE.__exit__, None, None, None)


class Case(unittest.TestCase):
    ini = {}

    def setUp(self):
        self.module = SITE.module(f"module-{self.id().rsplit('.', 1)[1]}", **self.ini)
        self.addCleanup(self.remove)
        self.module.start()
        self.module.wait_boot("normal")

    def remove(self):
        self.module.close()
        shutil.rmtree(self.module.folder, ignore_errors=True)

    def upgrade(self, *source, expect=0):
        """`dfota upgrade`; returns its last event."""
        command = [DFOTA, "upgrade", "--port", self.module.folder / "at", *map(str, source), *QUICK]
        result = subprocess.run(command, capture_output=True, text=True, timeout=200)
        self.assertEqual(result.returncode, expect, f"{source}\n{result.stdout}{result.stderr}{self.module.log()}")
        self.events = [json.loads(line) for line in result.stdout.splitlines()]
        return self.events[-1]

    def urcs(self):
        """Names and values of the FOTA URCs that the tool saw, without the percentages."""
        found = [re.fullmatch(r'\+QIND: "FOTA","(\w+)"(?:,(\d+))?', event["text"]) for event in self.events
                 if event["event"] == "urc"]
        return [(match[1], int(match[2]) if match[2] else None) for match in found if match and match[1] != "UPDATING"]

    def runs(self, version):
        """ATI says so, and every image is that version's, bit for bit."""
        with self.module.host() as host:
            host.greet()
            self.assertEqual(host.version(), version)
        self.assertEqual(self.module.images(), SITE.expected(version))

    def untouched(self, log_from=0):
        self.runs("v12")
        for writes in re.findall(r"(\d+) writes", self.module.log()[log_from:]):
            self.assertEqual(writes, "0")
        self.assertFalse((self.module.folder / "state/package.zip").exists())
        self.assertTrue(self.module.running())


class There(Case):
    """And back, by each way that a package can take."""

    def both_ways(self, source, started):
        for version, package in (("v13", SITE.up), ("v12", SITE.down)):
            result = self.upgrade(*source(package), "--expect-version", version)
            self.assertEqual((result["code"], result["version"], result["attempts"]), (0, version, 1))
            self.assertEqual(self.urcs(), started + [("START", None), ("END", 0)])
            self.runs(version)

    def test_http(self):
        with Nginx(SITE.folder) as server:
            self.both_ways(lambda package: ("--url", f"{server.url}/{package.name}"),
                           [("HTTPSTART", None), ("HTTPEND", 0)])

    def test_https_checked_by_a_ca_file(self):
        with Nginx(SITE.folder, tls=True) as server:
            self.module.term()
            self.module.configure(ca_file=server.certificate)
            self.module.start()
            self.both_ways(lambda package: ("--url", f"{server.url}/{package.name}"),
                           [("HTTPSTART", None), ("HTTPEND", 0)])

    def test_ftp_with_user_and_password(self):
        with Ftp(SITE.folder, "maria", "s3cret") as server:
            self.both_ways(lambda package: ("--url", f"{server.url}/{package.name}"),
                           [("FTPSTART", None), ("FTPEND", 0)])
        self.assertNotIn("s3cret", self.module.log())

    def test_upload(self):
        self.both_ways(lambda package: ("--file", package), [])

    def test_store(self):
        self.both_ways(lambda package: ("--ufs", self.module.put(package)), [])

    def test_noise_on_the_port_while_it_upgrades(self):
        rng = random.Random(11)
        name = self.module.put(SITE.up)
        with self.module.host() as host:
            host.greet()
            self.assertEqual(host.command(f'AT+QFOTADL="{name}"'), ([], "OK"))
            host.wait_fota("START")
            noise = bytes(rng.randrange(256) for _ in range(4000)).replace(b"\r", b"")
            host.send(noise + b"y" * 3000 + b"\r")
            self.assertEqual(host.wait_fota("END"), 0)
            host.wait_open(opens=3)
        self.runs("v13")

    def test_a_wire_that_breaks_is_taken_up_again(self):
        size = SITE.up.stat().st_size
        with Nginx(SITE.folder) as server, Cutter(server.port, [size // 3, size // 3]) as wire:
            self.upgrade("--url", f"http://127.0.0.1:{wire.port}/{SITE.up.name}", "--expect-version", "v13")
            self.assertGreaterEqual(wire.connections, 3)
        self.runs("v13")


class Downloads(Case):
    """That fail: the code of the transfer, nothing touched, and the next request is taken."""

    ini = {"download_tries": 1, "stall_timeout_s": 1, "connect_timeout_s": 5}

    def fails(self, url, code):
        result = self.upgrade("--url", url, expect=1)
        self.assertEqual(result["code"], code)
        self.assertEqual(self.urcs()[1:2], [("HTTPEND" if url.startswith("http") else "FTPEND", code)])
        self.untouched()

    def test_nobody_listens(self):
        self.fails(f"http://127.0.0.1:{free_port()}/x.zip", 701)
        self.fails(f"ftp://127.0.0.1:{free_port()}/x.zip", 601)

    def test_not_there(self):
        with Nginx(SITE.folder) as http, Ftp(SITE.folder) as ftp:
            self.fails(f"{http.url}/none.zip", 701)
            self.fails(f"{ftp.url}/none.zip", 601)

    def test_wrong_password(self):
        with Ftp(SITE.folder, "maria", "s3cret") as server:
            self.fails(f"ftp://maria:wrong@127.0.0.1:{server.port}/{SITE.up.name}", 601)

    def test_https_of_a_stranger(self):
        certificate, _ = make_certificate(SITE.folder, "stranger")
        self.module.term()
        self.module.configure(ca_file=certificate)
        self.module.start()
        with Nginx(SITE.folder, tls=True) as server:
            self.fails(f"{server.url}/{SITE.up.name}", 701)

    def test_a_server_that_vanishes(self):
        done = threading.Event()
        with Nginx(SITE.folder, rate=SITE.up.stat().st_size // 20) as server:
            def vanish():
                part = self.module.folder / "state/download.part"
                wait_for(lambda: part.exists() and part.stat().st_size > 0, what="the first bytes")
                server.stop()
                done.set()

            threading.Thread(target=vanish, daemon=True).start()
            self.fails(f"{server.url}/{SITE.up.name}", 701)
        self.assertTrue(done.is_set())
        self.upgrade("--file", SITE.up)
        self.runs("v13")

    def test_malformed_urls_are_refused_at_once(self):
        """The tool says itself that no command can carry a parameter of more than 512 bytes."""
        for url, exit_code in (("http:///x.zip", 1), ("gopher://127.0.0.1/x", 1), ("http://127.0.0.1:65536/x", 1),
                               (f"http://127.0.0.1/{'x' * 500}", 2)):
            with self.subTest(url):
                result = self.upgrade("--url", url, expect=exit_code)
                self.assertEqual(self.urcs(), [])
                self.assertNotEqual(result["error"], "OK")
        self.untouched()


def rezipped(source, target, change):
    """A zip with the same members, stored; change(name, data) returns the new data or None to leave it out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for item in old.infolist():
            data = change(item.filename, old.read(item))
            if data is not None:
                new.writestr(zipfile.ZipInfo(item.filename, item.date_time), data)
    return target


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


class Refused(Case):
    """Packages that must not be installed: the code, and not a byte of flash written."""

    def refused(self, package, code, exit_code=1):
        mark = len(self.module.log())
        result = self.upgrade("--ufs", self.module.put(package), "--expect-version", "v13", expect=exit_code)
        self.assertEqual(result["code"], code, self.module.log()[mark:])
        self.assertIn(("END", code), self.urcs())
        self.assertIn("0 writes", self.module.log()[mark:])
        self.untouched(mark)

    def test_damaged_and_truncated(self):
        data = SITE.up.read_bytes()
        chunk, manifest = data.index(b"DFD\x01") + len(data) // 4, member_at(SITE.up, "manifest.json")
        cases = {"chunk": flipped(data, chunk), "manifest": flipped(data, manifest + 40),
                 "signature": flipped(data, data.index(b"manifest.sig") + 30), "truncated": data[:-100],
                 "half": data[:len(data) // 2], "one byte": b"P", "no zip": b"firmware " * 1000}
        for name, damaged in cases.items():
            with self.subTest(name):
                package = SITE.folder / "damaged.zip"
                package.write_bytes(damaged)
                self.refused(package, 504)

    def test_unsigned_wrongly_signed_and_without_a_manifest(self):
        SITE.tool("keygen", SITE.folder / "other")
        cases = {"unsigned": lambda name, data: None if name == "manifest.sig" else data,
                 "no manifest": lambda name, data: None if name == "manifest.json" else data,
                 "no delta": lambda name, data: None if name == "boot.delta" else data,
                 "other version in the manifest": lambda name, data: data.replace(b'"v13"', b'"v14"'),
                 "signature of another length": lambda name, data: data[:-1] if name == "manifest.sig" else data}
        for name, change in cases.items():
            with self.subTest(name):
                self.refused(rezipped(SITE.up, SITE.folder / "odd.zip", change), 504)
        self.refused(SITE.pack("v12", "v13", "foreign-key.zip", SITE.folder / "other"), 504)

    def test_another_project_and_another_version(self):
        write_firmware(SITE.folder / "foreign12", "v12", images(SITE.folder / "v12"), "OTHER-5G")
        write_firmware(SITE.folder / "foreign13", "v13", images(SITE.folder / "v13"), "OTHER-5G")
        self.refused(SITE.pack("foreign12", "foreign13", "foreign.zip"), 505)
        self.refused(SITE.down, 505)

    def test_flash_modified_by_one_byte(self):
        for name in ("system", "tz"):  # tz is the same in both versions
            path = self.module.folder / f"flash/{name}.img"
            good = path.read_bytes()
            for at in (0, len(good) // 2, len(good) - 1):
                with self.subTest(f"{name} at {at}"):
                    path.write_bytes(flipped(good, at))
                    mark = len(self.module.log())
                    result = self.upgrade("--ufs", self.module.put(SITE.up), "--expect-version", "v13", expect=1)
                    self.assertEqual(result["code"], 510)
                    self.assertIn("0 writes", self.module.log()[mark:])
                    self.assertEqual(path.read_bytes(), flipped(good, at))
                    path.write_bytes(good)
        self.untouched()
        self.upgrade("--ufs", NAME, "--expect-version", "v13")
        self.runs("v13")

    def configured(self, **ini):
        self.assertEqual(self.module.term(), 0)
        self.module.configure(**ini)
        self.module.start()

    def test_too_large(self):
        self.configured(package_max=SITE.up.stat().st_size - 1)
        self.refused(SITE.up, 550)
        with Nginx(SITE.folder) as server:
            result = self.upgrade("--url", f"{server.url}/{SITE.up.name}", expect=1)
        self.assertEqual(self.urcs(), [("HTTPSTART", None), ("HTTPEND", 701), ("END", 550)])
        self.assertEqual(result["code"], 550)
        self.untouched()

    def test_too_little_memory(self):
        self.configured(memory_limit="64K")
        self.refused(SITE.up, 511)

    def test_no_space_for_the_download(self):
        self.configured(keep_free_bytes=1 << 50)
        with Nginx(SITE.folder) as server:
            result = self.upgrade("--url", f"{server.url}/{SITE.up.name}", expect=1)
        self.assertEqual(self.urcs(), [("HTTPSTART", None), ("HTTPEND", 701), ("END", 511)])
        self.assertEqual(result["code"], 511)
        self.untouched()


@unittest.skipUnless(os.geteuid() == 0, "only root can mount a small file system: NOT TESTED: a full disk")
class FullDisk(Case):
    """The module's folder on a file system of its own that has no room left."""

    def setUp(self):
        self.disk = SITE.folder / "disk"
        self.disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", self.disk], capture_output=True)
        if mounted.returncode:
            self.skipTest(f"mount is not allowed here: NOT TESTED: a full disk ({mounted.stderr})")
        self.addCleanup(self.disk.rmdir)
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        self.module = SITE.module("disk/module", keep_free_bytes=0)
        self.addCleanup(self.module.close)
        self.name = self.module.put(SITE.up)
        self.module.start()
        self.module.wait_boot("normal")

    def fill(self):
        with open(self.disk / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(b"\xa5" * 4096) == 4096:
                    pass
            except OSError:
                pass  # full

    def test_upgrade_and_download(self):
        self.fill()
        result = self.upgrade("--ufs", self.name, "--expect-version", "v13", expect=1)
        self.assertEqual(result["code"], 511, self.module.log())
        self.untouched()
        with Nginx(SITE.folder) as server:
            result = self.upgrade("--url", f"{server.url}/{SITE.up.name}", expect=1)
        self.assertEqual(self.urcs(), [("HTTPSTART", None), ("HTTPEND", 701), ("END", 511)])
        self.untouched()
        self.upgrade("--file", SITE.up, expect=1)  # the upload finds no room
        self.untouched()
        (self.disk / "filler").unlink()
        self.upgrade("--ufs", self.name, "--expect-version", "v13")
        self.runs("v13")


class Failing(Case):
    """Flash that fails, by the faults of module.ini."""

    def run_with(self, expect, **ini):
        self.assertEqual(self.module.term(), 0)
        self.module.configure(**ini)
        self.module.start()
        self.module.wait_boot("normal")
        self.mark = len(self.module.log())
        return self.upgrade("--ufs", self.module.put(SITE.up), "--expect-version", "v13", expect=expect)

    def ends(self):
        return [int(code) for code in re.findall(r"upgrade: END,(\d+)", self.module.log()[self.mark:])]

    def test_five_write_errors_end_it_and_the_module_answers(self):
        """E1-E3; and a write that never succeeded has left the old firmware whole."""
        result = self.run_with(1, fault_write="boot,5")
        self.assertEqual(self.ends(), [522] * 5)
        self.assertEqual(result["code"], 522)
        self.assertEqual(self.module.log()[self.mark:].count("flag deleted"), 1)
        self.assertTrue(self.module.running())
        with self.module.host() as host:
            self.assertEqual(host.greet()[1], "OK")
            self.assertRegex(host.command("ATI")[0][2], r"^Revision: v12")
        # The fault is over: the same package, asked for again, brings the module to v13.
        self.upgrade("--ufs", NAME, "--expect-version", "v13")
        self.runs("v13")

    def test_four_errors_and_then_success(self):
        self.run_with(0, fault_write="system,4")
        self.assertEqual(self.ends(), [521] * 4 + [0])
        self.runs("v13")

    def test_each_kind_of_error_has_its_code(self):
        for fault, code in (({"fault_write": "modem,1"}, 520), ({"fault_flush": "sbl,1"}, 523), ({"fault_resize": "boot,1"}, 530)):
            with self.subTest(fault):
                self.run_with(0, **fault)
                self.assertEqual(self.ends(), [code, 0])
                self.runs("v13")
                for path in (self.module.folder / "state").glob("fault-*"):
                    path.unlink()
                self.upgrade("--ufs", self.module.put(SITE.down), "--expect-version", "v12")
                self.module.configure(**{key: None for key in fault})
                self.runs("v12")

    def test_read_errors(self):
        """Before the first write as after it: a partition that cannot be read is worth another attempt."""
        self.run_with(0, fault_read="system,2,3")
        self.assertEqual(self.ends()[-1], 0)
        self.assertEqual(set(self.ends()[:-1]), {544})
        self.runs("v13")

    def left_unfinished(self):
        """Gives up in the last partition; returns what ATI says of the state."""
        self.run_with(1, fault_write="sbl,5")
        self.assertEqual(self.ends(), [523] * 5)
        with self.module.host() as host:
            host.greet()
            identity = host.command("ATI")[0]
        self.assertEqual(identity[2], "Revision: v12+incomplete")
        return re.fullmatch(r"FOTA: state (\w+,\d+,\d+)", identity[4])[1]

    def test_a_repair_package_leads_on_or_back(self):
        """What was left unfinished is built again by the host; the first package is not needed any more."""
        for version in ("v13", "v12"):
            with self.subTest(version):
                state = self.left_unfinished()
                repair = SITE.folder / "repair.zip"
                SITE.tool("pack", "--repair", SITE.up, "--state", state, SITE.folder / "v12", SITE.folder / version, "-o", repair,
                          "--key", f"{SITE.key}.key")
                self.assertFalse(list(SITE.folder.glob("repair.zip.*")), "the mixture was left behind")
                (self.module.folder / "state/package.zip").unlink(missing_ok=True)
                self.upgrade("--ufs", self.module.put(repair, "repair.zip"), "--expect-version", version)
                self.runs(version)
                if version == "v13":
                    for path in (self.module.folder / "state").glob("fault-*"):
                        path.unlink()
                    self.module.term()
                    self.module.configure(fault_write=None)
                    self.module.start()
                    self.upgrade("--ufs", self.module.put(SITE.down), "--expect-version", "v12")

    def test_a_repair_package_for_another_state_is_refused(self):
        self.left_unfinished()
        repair = SITE.folder / "repair.zip"
        SITE.tool("pack", "--repair", SITE.up, "--state", "INTENT,0,0", SITE.folder / "v12", SITE.folder / "v13", "-o", repair,
                  "--key", f"{SITE.key}.key")
        result = self.upgrade("--ufs", self.module.put(repair, "repair.zip"), "--expect-version", "v13", expect=1)
        self.assertEqual(result["code"], 546)
        self.assertNotRegex(self.module.log()[self.module.log().rindex("UFS:repair.zip"):], "[1-9][0-9]* writes")
        self.upgrade("--ufs", self.module.put(SITE.up), "--expect-version", "v13")
        self.runs("v13")

    def test_power_cuts_are_not_counted(self):
        """E4: four errors, each with cuts before and behind it, and the fifth attempt still has its chance."""
        self.assertEqual(self.module.term(), 0)
        self.module.configure(fault_write="boot,4", reboot_ms=10)
        self.module.start()
        self.module.wait_boot("normal")
        name = self.module.put(SITE.up)
        with self.module.host() as host:
            host.greet()
            self.assertEqual(host.command(f'AT+QFOTADL="{name}"'), ([], "OK"))
            for _ in range(12):
                mark = len(self.module.log())
                self.module.wait_log("boot: .*recovery|boot: .*v13, normal|upgrade: attempt", start=mark)
                if "v13, normal" in self.module.log():
                    break
                self.module.kill()
                self.module.start()
            self.module.wait_log("boot: .*v13, normal")
        codes = [int(code) for code in re.findall(r"upgrade: END,(\d+)", self.module.log())]
        self.assertEqual(codes[-1:], [0])
        self.assertLessEqual(codes.count(522), 4)
        self.runs("v13")

    def test_a_package_that_is_gone_is_502(self):
        self.assertEqual(self.module.term(), 0)
        self.module.configure(reboot_ms=3000)
        self.module.start()
        with self.module.host() as host:
            host.greet()
            name = self.module.put(SITE.up)
            self.assertEqual(host.command(f'AT+QFOTADL="{name}"'), ([], "OK"))
            wait_for(lambda: not (self.module.folder / "at").is_symlink(), what="the reboot")
            (self.module.folder / "state/package.zip").unlink()
            self.module.wait_log("flag deleted")
            host.greet()
        self.module.wait_boot("normal", start=self.module.log().index("flag deleted"))
        self.assertEqual(re.findall(r"upgrade: END,(\d+)", self.module.log()), ["502"] * 5)
        self.untouched()


if __name__ == "__main__":
    unittest.main(verbosity=2)
