#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tool as release engineers use it: keys, packages, rehearsal, upgrade of folders, refusals.

usage: test_cli.py DFOTA
"""
import hashlib
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import member_at  # noqa: E402

DFOTA = sys.argv.pop(1)
KIB = 1024


def run(*arguments, expect=0):
    result = subprocess.run([DFOTA, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if expect is not None and result.returncode != expect:
        raise AssertionError(f"{arguments}: exit {result.returncode}, not {expect}\n{result.stdout}{result.stderr}")
    return result


def last_json(result):
    return json.loads(result.stdout.strip().splitlines()[-1])


def tree(folder):
    """Names and contents of everything in a folder, for "nothing was written"."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(pathlib.Path(folder).rglob("*"))}


def images(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).glob("*.img"))}


def edited(rng, data):
    """Changes, a move that makes a cycle, an insertion: what an image of the next version looks like."""
    data = bytearray(data)
    for _ in range(40):
        at = rng.randrange(len(data) - 64)
        data[at:at + rng.randrange(1, 40)] = rng.randbytes(rng.randrange(1, 40))
    half = len(data) // 2 // 4096 * 4096
    return bytes(data[half:] + rng.randbytes(5000) + data[:half])


def firmware_pair(root, seed):
    rng = random.Random(seed)
    for version in ("v12", "v13"):
        (root / version).mkdir()
        (root / version / "firmware.ini").write_text(f"project = P1\nversion = {version}\n")
    old = {name: rng.randbytes(size) for name, size in
           (("boot", 300 * KIB), ("system", 700 * KIB), ("sbl", 40 * KIB), ("tz", 9001), ("modem", 128 * KIB))}
    new = {name: edited(rng, data) for name, data in old.items()}
    new["tz"] = old["tz"]
    new["modem"] = new["modem"][:90 * KIB]
    for name in old:
        (root / "v12" / f"{name}.img").write_bytes(old[name])
        (root / "v13" / f"{name}.img").write_bytes(new[name])


class Tool(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shelf = tempfile.TemporaryDirectory(prefix="dfota-cli-")
        cls.base = pathlib.Path(cls.shelf.name)
        firmware_pair(cls.base, 1)
        run("keygen", cls.base / "k")
        run("keygen", cls.base / "other")
        for old, new, name in (("v12", "v13", "up.zip"), ("v13", "v12", "down.zip")):
            run("pack", cls.base / old, cls.base / new, "-o", cls.base / name, "--key", cls.base / "k.key",
                "--segment", "16K")

    @classmethod
    def tearDownClass(cls):
        cls.shelf.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dfota-cli-")
        self.addCleanup(folder.cleanup)
        self.temporary = pathlib.Path(folder.name)
        self.firmware = self.temporary / "fw"
        shutil.copytree(self.base / "v12", self.firmware)

    def apply(self, package, *more, expect=0):
        return run("apply", package, "--firmware", self.firmware, "--trust", self.base / "k.pub", *more, expect=expect)

    def refused(self, code, status, package, *more, trust="k.pub", firmware=None):
        """verify and apply both refuse with this code and exit status, and leave every file as it was."""
        folder = firmware or self.firmware
        before = tree(folder)
        arguments = (package, "--firmware", folder, "--trust", self.base / trust, "--json")
        result = last_json(run("verify", *arguments, *more, expect=status))
        self.assertEqual((result["code"], result["writes"]), (code, 0))
        self.assertEqual(tree(folder), before)
        if not more:
            result = last_json(run("apply", *arguments, expect=status))
            self.assertEqual((result["code"], result["writes"], result["started"]), (code, 0, False))
            self.assertEqual(images(folder), {n: (folder / n).read_bytes() for n in images(folder)})
            after = tree(folder)
            for name, digest in before.items():
                self.assertEqual(after[name], digest, name)

    def test_usage_is_exit_2(self):
        for arguments in ((), ("nonsense",), ("pack",), ("verify", "x"), ("keygen",), ("inspect", "a", "b"),
                          ("pack", "a", "b", "-o", "c", "--key", "k", "--segment", "1000"),
                          ("pack", "a", "b", "-o", "c", "--key", "k", "--stash-limit", "-1")):
            self.assertTrue(run(*arguments, expect=2).stderr)
        for name in ("keygen", "pack", "inspect", "verify", "apply", "mkmodule", "upgrade", "at"):
            self.assertIn("Usage: dfota " + name, run(name, "--help").stdout)

    def test_keys_are_never_overwritten(self):
        before = (self.base / "k.key").read_bytes()
        run("keygen", self.base / "k", expect=1)
        self.assertEqual((self.base / "k.key").read_bytes(), before)

    def test_pack_is_reproducible_whatever_the_threads(self):
        for threads in ("1", "3"):
            run("pack", self.base / "v12", self.base / "v13", "-o", self.temporary / "p.zip", "--key",
                self.base / "k.key", "--segment", "16K", "--threads", threads)
            self.assertEqual((self.temporary / "p.zip").read_bytes(), (self.base / "up.zip").read_bytes())

    def test_pack_is_reproducible_with_several_coders(self):
        rng, packages = random.Random(3), []
        data = rng.randbytes(3500 * KIB)
        for version, image in (("v1", data), ("v2", edited(rng, data))):
            (self.temporary / version).mkdir()
            (self.temporary / version / "firmware.ini").write_text(f"project = P1\nversion = {version}\n")
            (self.temporary / version / "system.img").write_bytes(image)
        for threads in ("1", "3"):
            package = self.temporary / f"{threads}.zip"
            run("pack", self.temporary / "v1", self.temporary / "v2", "-o", package, "--key", self.base / "k.key", "--threads", threads)
            packages.append(package.read_bytes())
        self.assertEqual(*packages)

    def test_pack_refuses_what_makes_no_package(self):
        key = ("-o", self.temporary / "p.zip", "--key", self.base / "k.key")
        run("pack", self.base / "v12", self.base / "v12", *key, expect=1)
        run("pack", self.base / "v12", self.base / "none", *key, expect=1)
        (self.firmware / "firmware.ini").write_text("project = P1\nversion = v14\n")
        (self.firmware / "extra.img").write_bytes(b"x")
        self.assertIn("extra", run("pack", self.base / "v12", self.firmware, *key, expect=1).stderr)
        (self.firmware / "extra.img").unlink()
        (self.firmware / "firmware.ini").write_text("project = P2\nversion = v14\n")
        run("pack", self.base / "v12", self.firmware, *key, expect=1)
        run("pack", self.base / "v12", self.base / "v13", "-o", self.temporary / "p.zip", "--key",
            self.base / "k.pub", expect=3)
        self.assertEqual(list(self.temporary.glob("p.zip*")), [])

    def test_inspect_tells_what_is_inside(self):
        shown = json.loads(run("inspect", self.base / "up.zip", "--json").stdout)
        self.assertEqual((shown["project"], shown["from"], shown["to"]), ("P1", "v12", "v13"))
        self.assertEqual([p["name"] for p in shown["partitions"]], ["system", "modem", "boot", "tz", "sbl"])
        for p in shown["partitions"]:
            data = (self.base / "v13" / f"{p['name']}.img").read_bytes()
            self.assertEqual(p["new"], {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
            self.assertEqual(sum(p["bytes"].values()), len(data))
        self.assertEqual(shown["signature"], "present, not checked")
        self.assertIn("good", run("inspect", self.base / "up.zip", "--trust", self.base / "k.pub").stdout)
        run("inspect", self.base / "up.zip", "--trust", self.base / "other.pub", expect=3)
        run("inspect", self.base / "k.pub", expect=1)

    def spending(self, package):
        """Partitions as inspect shows them; all bytes of each delta have a purpose."""
        shown = json.loads(run("inspect", package, "--json").stdout)["partitions"]
        for p in shown:
            self.assertEqual(sum(p["spent"].values()), p["delta"], p["name"])
            self.assertEqual(sum(c["count"] for c in p["chunks"].values()), p["segments"]["direct"] + p["segments"]["redo"])
            self.assertEqual(sum(c["bytes"] for c in p["chunks"].values()), p["delta"] - p["index"])
            self.assertEqual(sorted(p["chunks"]), sorted(p["codings"]))
        return shown

    def test_inspect_tells_what_bytes_are_spent_on(self):
        known = {"predict": {"blocks", "flags", "misses", "literals"}, "plain": {"operations", "differences", "new"}, "raw": {"raw"}}
        for package in ("up.zip", "down.zip"):
            for p in self.spending(self.base / package):
                for coding, chunks in p["chunks"].items():
                    told = sum(p["spent"].get(key, 0) for key in known[coding])
                    self.assertLessEqual(told, chunks["bytes"])
                    self.assertGreaterEqual(told, chunks["bytes"] - 32 * chunks["count"])
                self.assertEqual("words" in p, "predict" in p["chunks"], p["name"])
        text = run("inspect", self.base / "up.zip").stdout
        self.assertIn("spent on", text)
        self.assertIn("operations ", text)

    def test_inspect_tells_who_catches_words(self):
        """Words that one constant was added to: one is missed, and those behind it are caught by the difference."""
        rng = random.Random(5)
        old = [rng.getrandbits(32) for _ in range(16 * KIB)]
        new = [(w + 0x01234568 if 4000 <= i < 12000 and i % 5 == 0 else w) & 0xffffffff for i, w in enumerate(old)]
        for version, words in (("v1", old), ("v2", new)):
            folder = self.temporary / version
            folder.mkdir()
            (folder / "firmware.ini").write_text(f"project = P\nversion = {version}\n")
            (folder / "boot.img").write_bytes(b"".join(w.to_bytes(4, "little") for w in words))
        run("pack", self.temporary / "v1", self.temporary / "v2", "-o", self.temporary / "p.zip", "--key", self.base / "k.key")
        [boot] = self.spending(self.temporary / "p.zip")
        self.assertEqual(boot["codings"], ["predict"])
        words = boot["words"]
        caught = {name: sum(counts.values()) for name, counts in words["caught"].items()}
        self.assertEqual(sum(caught.values()) + words["missed"] + words["literal_bytes"] / 4, len(new))
        self.assertEqual(caught["same"], len(new) - 1600)
        self.assertGreater(caught["delta"], 1500)
        self.assertLess(words["missed"], 100)
        text = run("inspect", self.temporary / "p.zip").stdout
        self.assertRegex(text, rf"same +{words['caught']['same']['clean']} +{words['caught']['same']['flagged']}\n")
        self.assertRegex(text, r"delta +\d+ +\d+\n")

    def test_packages_that_tell_no_counts_are_inspected(self):
        package = self.base / "silent.zip"
        with zipfile.ZipFile(self.base / "up.zip") as told, zipfile.ZipFile(package, "w") as silent:
            for name in told.namelist():
                data = told.read(name)
                if name == "manifest.json":
                    manifest = json.loads(data)
                    for partition in manifest["partitions"]:
                        partition["delta"].pop("stats", None)
                        partition.pop("stats", None)
                    data = json.dumps(manifest).encode()
                    self.assertNotIn(b"stats", data)
                silent.writestr(name, data)
        for p in self.spending(package):
            self.assertNotIn("words", p)
        self.assertNotIn("words caught by", run("inspect", package).stdout)

    def test_verify_passes_and_writes_nothing(self):
        before = tree(self.firmware)
        result = last_json(run("verify", self.base / "up.zip", "--firmware", self.firmware, "--trust",
                               self.base / "k.pub", "--json"))
        self.assertEqual((result["code"], result["writes"]), (0, 0))
        self.assertEqual(tree(self.firmware), before)

    def test_refuses_flipped_byte_in_each_part(self):
        original = (self.base / "up.zip").read_bytes()
        shown = json.loads(run("inspect", self.base / "up.zip", "--json").stdout)
        system = shown["partitions"][0]
        chunk = original.index(b"system.delta") + len("system.delta") + system["delta"] - 100
        for part, at, code, status in (("chunk", chunk, 504, 1),
                                       ("index", original.index(b"DFD\x01") + 40, 504, 1),
                                       ("manifest", member_at(self.base / "up.zip", "manifest.json") + 40, 504, 1),
                                       ("signature", original.index(b"manifest.sig") + 30, 504, 3)):
            with self.subTest(part):
                damaged = bytearray(original)
                damaged[at] ^= 0x10
                (self.temporary / "bad.zip").write_bytes(damaged)
                self.refused(code, status, self.temporary / "bad.zip")

    def test_refuses_truncated_foreign_and_unsigned(self):
        original = (self.base / "up.zip").read_bytes()
        (self.temporary / "short.zip").write_bytes(original[:-1000])
        self.refused(504, 1, self.temporary / "short.zip")
        (self.temporary / "text.zip").write_bytes(b"hello")
        self.refused(504, 1, self.temporary / "text.zip")
        self.refused(504, 3, self.base / "up.zip", trust="other.pub")

    def test_refuses_changed_flash(self):
        for name in ("boot", "tz"):
            with self.subTest(name):
                data = bytearray((self.firmware / f"{name}.img").read_bytes())
                data[len(data) // 2] ^= 1
                (self.firmware / f"{name}.img").write_bytes(data)
                self.refused(510, 1, self.base / "up.zip")
                data[len(data) // 2] ^= 1
                (self.firmware / f"{name}.img").write_bytes(data)
        (self.firmware / "sbl.img").write_bytes((self.firmware / "sbl.img").read_bytes()[:-1])
        self.refused(510, 1, self.base / "up.zip")

    def test_refuses_other_project_and_version(self):
        (self.firmware / "firmware.ini").write_text("project = P2\nversion = v12\n")
        self.refused(505, 1, self.base / "up.zip")
        (self.firmware / "firmware.ini").write_text("project = P1\nversion = v11\n")
        self.refused(505, 1, self.base / "up.zip")

    def test_refuses_what_does_not_fit(self):
        self.refused(511, 1, self.base / "up.zip", "--area-limit", "10K")
        self.refused(511, 1, self.base / "up.zip", "--memory-limit", "4K")
        self.refused(550, 1, self.base / "up.zip", "--max-package", "100")

    def test_apply_goes_there_and_back(self):
        self.apply(self.base / "up.zip")
        self.assertEqual(images(self.firmware), images(self.base / "v13"))
        self.assertIn("v13", (self.firmware / "firmware.ini").read_text())
        self.assertFalse((self.firmware / ".dfota").exists())
        self.assertIn("505", self.apply(self.base / "up.zip", expect=1).stderr)
        self.apply(self.base / "down.zip")
        self.assertEqual(tree(self.firmware), {**tree(self.base / "v12"), "firmware.ini": tree(self.firmware)["firmware.ini"]})

    def test_apply_survives_kills(self):
        """SIGKILL after each k-th event; each run goes on where the one before was cut."""
        rng = random.Random(7)
        cuts = finished = 0
        for _ in range(400):
            if finished >= 6 and cuts >= 12:
                break
            process = subprocess.Popen([DFOTA, "apply", str(self.base / "up.zip"), "--firmware", str(self.firmware),
                                        "--trust", str(self.base / "k.pub"), "--json"], stdout=subprocess.PIPE)
            events = rng.randrange(1, 60)
            for _ in range(events):
                if not process.stdout.readline():
                    break
            process.kill()
            process.stdout.close()
            if process.wait() == -signal.SIGKILL:
                cuts += 1
                continue
            if images(self.firmware) == images(self.base / "v13"):
                finished += 1
                shutil.rmtree(self.firmware)
                shutil.copytree(self.base / "v12", self.firmware)
        self.assertGreaterEqual(finished, 6)
        self.assertGreaterEqual(cuts, 12)

    def test_apply_holds_to_the_package_it_began(self):
        process = subprocess.Popen([DFOTA, "apply", str(self.base / "up.zip"), "--firmware", str(self.firmware),
                                    "--trust", str(self.base / "k.pub"), "--json"], stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if json.loads(line)["event"] == "step":
                break
        process.kill()
        process.stdout.close()
        process.wait()
        run("pack", self.base / "v12", self.base / "v13", "-o", self.temporary / "p.zip", "--key", self.base / "k.key",
            "--segment", "32K")
        mixed = images(self.firmware)
        self.apply(self.temporary / "p.zip", expect=1)
        self.assertEqual(images(self.firmware), mixed)
        self.apply(self.base / "up.zip")
        self.assertEqual(images(self.firmware), images(self.base / "v13"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
