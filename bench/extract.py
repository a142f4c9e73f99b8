# SPDX-License-Identifier: MIT
"""Images out of unpacked packages: kernels as they stand in memory, file systems of trees, all of it reproducible."""
import lzma
import os
import subprocess
import tarfile
import zlib

MIB = 1 << 20
TIME = "1700000000"  # of everything in an image
UUID = "d20ad20a-0000-4000-8000-0000000000{:02d}"
SMALLEST = MIB  # of a kernel that was compressed


class Unusable(Exception):
    pass


def unxz(data):
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data)


def gunzip(data):
    return zlib.decompressobj(wbits=31).decompress(data)


def unzstd(data):
    # What follows the frame makes the program fail after it has written all of the frame.
    return subprocess.run(["zstd", "-q", "-d", "-c"], input=data, capture_output=True, check=False).stdout


FORMATS = [(b"\xfd7zXZ\0", unxz), (b"\x1f\x8b\x08\0", gunzip), (b"\x28\xb5\x2f\xfd", unzstd)]


def kernel(data):
    """The kernel in memory: an arm64 Image as it is, else what is packed in the zImage or bzImage."""
    if data[56:60] == b"ARM\x64":
        return data
    found = b""
    for magic, expand in FORMATS:
        at = data.find(magic)
        while at >= 0:
            try:
                content = expand(data[at:])
            except (lzma.LZMAError, zlib.error):
                content = b""
            if len(content) > max(len(found), SMALLEST):
                found = content
            at = data.find(magic, at + 1)
    if not found:
        raise Unusable("no kernel in vmlinuz")
    return found


def tree_bytes(tree):
    """Room that a tree takes in 4 KiB blocks, inodes included."""
    return sum(-(-path.lstat().st_size // 4096) * 4096 + 512 for path in tree.rglob("*"))


def settle(tree):
    for path in tree.rglob("*"):
        os.utime(path, (int(TIME), int(TIME)), follow_symlinks=False)


def environment():
    return {**os.environ, "E2FSPROGS_FAKE_TIME": TIME, "SOURCE_DATE_EPOCH": TIME}


def ext4(tree, image, size):
    settle(tree)
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-U", UUID.format(1), "-E",
                    f"hash_seed={UUID.format(2)},root_owner=0:0,lazy_itable_init=0", "-O", "^has_journal,^resize_inode",
                    "-d", str(tree), str(image)], check=True, env=environment())


def squashfs(tree, image, compressed):
    settle(tree)
    kind = ["-comp", "xz"] if compressed else ["-noI", "-noD", "-noF", "-noX"]
    environ = {name: value for name, value in environment().items() if name != "SOURCE_DATE_EPOCH"}  # it minds both
    subprocess.run(["mksquashfs", str(tree), str(image), "-quiet", "-no-progress", "-noappend", "-all-root", "-no-xattrs",
                    "-mkfs-time", TIME, "-all-time", TIME, "-processors", "1", *kind], check=True, stdout=subprocess.DEVNULL, env=environ)


def tar(tree, image):
    """A plain archive, sorted, without owners and times."""
    def plain(info):
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info
    with tarfile.open(image, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(tree.rglob("*")):
            archive.add(path, arcname=str(path.relative_to(tree)), recursive=False, filter=plain)


def pack_trees(kind, trees, images):
    """Both trees of a pair; ext4 images of one size, since a partition does not grow."""
    size = max(tree_bytes(tree) for tree in trees)
    size = -(-(size * 103 // 100 + 2 * MIB) // MIB) * MIB
    for tree, image in zip(trees, images):
        if kind == "ext4":
            ext4(tree, image, size)
        elif kind == "tar":
            tar(tree, image)
        else:
            squashfs(tree, image, kind == "squashfs-xz")
