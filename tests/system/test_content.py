# SPDX-License-Identifier: MIT
"""Programs are found in real file systems, wherever their blocks lie, and damaged file systems do no harm.

Argument: the unit test of the contents, which prints what it finds in two images.
"""
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = None
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def which(name):
    return shutil.which(name, path=PATH)


def elf(rng, code_bytes, salt):
    """An AArch64 program of one executable segment at 0x400000 and one of data far behind it."""
    data_bytes = code_bytes // 2
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, code_bytes, code_bytes, 4096)
    head += struct.pack("<IIQQQQQQ", 1, 6, code_bytes, 0x800000, 0x800000, data_bytes, data_bytes + 100, 4096)
    body = rng.randbytes(code_bytes + data_bytes - len(head) - 1)
    return head + body + bytes([salt])


def make_tree(folder, salt):
    rng = random.Random(1)
    (folder / "usr/lib/deep/er").mkdir(parents=True)
    programs = {}
    for i in range(40):
        name = f"usr/lib/program{'abcdefghij'[i % 10]}{'xyzw'[i // 10]}"
        programs[name] = elf(rng, 4096 + rng.randrange(40) * 1028, salt)
    programs["usr/lib/deep/er/large"] = elf(rng, 600000, salt)
    for name, data in programs.items():
        (folder / name).write_bytes(data)
    (folder / "usr/lib/unchanged").write_bytes(elf(rng, 8192, 7))
    (folder / "usr/notes").write_bytes(b"notes\n" * (1000 + salt))
    return programs


def fill_holes(folder, rng):
    """Files in whose gaps others will lie scattered, once they are gone."""
    for i in range(60):
        (folder / f"filler{i}").write_bytes(rng.randbytes(4096 + i % 3 * 4096))


def regions(old, new):
    out = subprocess.run([PROGRAM, old, new], capture_output=True, text=True, check=True).stdout
    images = []
    for line in out.splitlines():
        match = re.match(r"  +(\w+) +(\w+) va +(\w+) mem +(\w+) group +(\d+) (\w+)$", line)
        if match:
            images[-1].append(tuple(int(match[i], 16) for i in range(1, 5)) + (int(match[5]), match[6]))
        else:
            images.append([])
    return images


def scatter(image, programs):
    """Writes the programs again by debugfs, in reverse, after every second was removed: their blocks fill the gaps."""
    with tempfile.TemporaryDirectory() as folder:
        commands = []
        for i, (name, data) in enumerate(programs.items()):
            commands.append(f"rm /{name}")
            (pathlib.Path(folder) / str(i)).write_bytes(data)
        commands += [f"rm /filler{i}" for i in range(0, 60, 2)]
        names = list(programs)
        commands += [f"write {folder}/{i} /{names[i]}" for i in reversed(range(len(names)))]
        subprocess.run([which("debugfs"), "-w", "-f", "-", image], input="\n".join(commands) + "\n", text=True,
                       capture_output=True, check=True)


class Content(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.programs = []
        for salt in (1, 2):
            tree = self.folder / str(salt)
            self.programs.append(make_tree(tree, salt))
            fill_holes(tree, random.Random(2))

    def check(self, images):
        """Every byte of every changed program has a region that says its address; nothing else has one."""
        found = regions(*images)
        self.assertEqual(len(found), 2)
        groups = [set(), set()]
        for index, (image, programs) in enumerate(zip(images, self.programs)):
            data = pathlib.Path(image).read_bytes()
            whole = {content for content in programs.values()}
            covered = 0
            by_group = {}
            for start, count, va, mem, group, kind in found[index]:
                by_group.setdefault(group, []).append((va, data[start:start + count], mem, kind))
                groups[index].add(group)
                covered += count
            self.assertEqual(covered, sum(len(content) for content in whole))
            for pieces in by_group.values():
                pieces.sort()
                content = b"".join(piece[1] for piece in pieces)
                self.assertIn(content, whole)
                code_bytes = struct.unpack_from("<Q", content, 64 + 32)[0]
                at = 0
                for va, piece, mem, kind in pieces:
                    self.assertEqual(va, 0x400000 + at if at < code_bytes else 0x800000 + at - code_bytes)
                    self.assertEqual(kind, "a64" if at < code_bytes else "data64")
                    at += len(piece)
                    self.assertEqual(mem, len(piece) + (100 if at == len(content) else 0))
        self.assertEqual(len(groups[0]), len(self.programs[0]))
        self.assertEqual(groups[0], groups[1])
        return found

    def make_all(self, command, suffix):
        images = []
        for salt in (1, 2):
            image = str(self.folder / f"{salt}.{suffix}")
            subprocess.run(command(str(self.folder / str(salt)), image), capture_output=True, check=True)
            images.append(image)
        return images

    def damage(self, image, rounds=60):
        subprocess.run([PROGRAM, "damage", image, str(rounds)], check=True)

    @unittest.skipUnless(which("mkfs.ext4") and which("debugfs"), "no mkfs.ext4")
    def test_ext(self):
        for kind, block in (("ext4", 4096), ("ext4", 1024), ("ext2", 1024), ("ext2", 4096)):
            with self.subTest(kind=kind, block=block):
                images = self.make_all(lambda tree, image: [which("mkfs." + kind), "-q", "-F", "-b", str(block), "-d", tree,
                                                            image, "16M"], f"{kind}-{block}")
                self.check(images)
                for image, programs in zip(images, self.programs):
                    scatter(image, programs)
                found = self.check(images)
                self.assertGreater(len(found[1]), 2 * len(self.programs[1]), "nothing is scattered")
                self.damage(images[1], 20)

    @unittest.skipUnless(which("mksquashfs"), "no mksquashfs")
    def test_squashfs(self):
        for options in ((), ("-no-fragments",), ("-always-use-fragments",)):
            with self.subTest(options=options):
                images = self.make_all(lambda tree, image: [which("mksquashfs"), tree, image, "-noI", "-noD", "-noF",
                                                            "-noappend", "-no-progress", *options], "squashfs")
                self.check(images)
        self.damage(images[1])

    @unittest.skipUnless(which("mksquashfs"), "no mksquashfs")
    def test_compressed_squashfs_has_no_regions(self):
        images = self.make_all(lambda tree, image: [which("mksquashfs"), tree, image, "-noappend", "-no-progress"], "squashfs")
        self.assertEqual(regions(*images), [[], []])

    def test_tar(self):
        for kind in ("ustar", "gnu", "pax"):
            with self.subTest(kind=kind):
                long = "d" * 90 if kind == "ustar" else "d" * 150
                for salt in (1, 2):
                    tree = self.folder / str(salt) / long
                    tree.mkdir(exist_ok=True)
                    data = elf(random.Random(9), 9000, salt)
                    (tree / "a-program-with-a-long-name").write_bytes(data)
                    self.programs[salt - 1][f"{long}/a"] = data
                images = self.make_all(lambda tree, image: [which("tar"), "--format", kind, "-C", tree, "-cf", image, "."], "tar")
                self.check(images)
                for salt in (1, 2):
                    shutil.rmtree(self.folder / str(salt) / long)
                    del self.programs[salt - 1][f"{long}/a"]
        self.damage(images[1])

    @unittest.skipUnless(which("cpio"), "no cpio")
    def test_cpio(self):
        images = self.make_all(lambda tree, image: ["/bin/sh", "-c", f"cd {tree} && find . | cpio --quiet -o -H newc > {image}"],
                               "cpio")
        self.check(images)
        self.damage(images[1])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
