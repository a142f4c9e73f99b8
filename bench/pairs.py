# SPDX-License-Identifier: MIT
"""Which pairs there are: recipes from packages to images. Nothing here depends on a version; those are the newest on offer."""
import hashlib
import pathlib
import random
import re
import shutil
import subprocess

import extract
from extract import Unusable  # noqa: F401
from store import Unavailable, steps

MIB = 1 << 20
DROPPED = ["usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/info", "usr/share/i18n", "usr/share/bash-completion"]
DEMO = {"boot": "arm64-kernel", "system": "arm64-userland", "sbl": "boot-loader", "tz": "secure-world", "modem": "radio-firmware"}

# (class, architecture, name of the flavour, pattern of package names, steps to take)
KERNELS = [
    ("arm64-kernel", "arm64", "6.12", r"linux-image-6\.12[^-]*\+deb13[^-]*-arm64", 1),
    ("arm64-kernel", "arm64", "6.12-cloud", r"linux-image-6\.12[^-]*\+deb13[^-]*-cloud-arm64", 2),
    ("arm64-kernel", "arm64", "6.1-rt", r"linux-image-6\.1\.0-\d+-rt-arm64", 1),
    ("armhf", "armhf", "kernel-6.1", r"linux-image-6\.1\.0-\d+-armmp", 1),
    ("armhf", "armhf", "kernel-6.12", r"linux-image-6\.12[^-]*\+deb13[^-]*-armmp", 1),
    ("amd64-kernel", "amd64", "6.1", r"linux-image-6\.1\.0-\d+-amd64", 1),
    ("amd64-kernel", "amd64", "6.12-cloud", r"linux-image-6\.12[^-]*\+deb13[^-]*-cloud-amd64", 1),
]

# (class, architecture, name, release, kind of image, packages): each package in its oldest and newest version of the release.
TREES = [
    ("arm64-userland", "arm64", "trixie-squashfs", "trixie", "squashfs",
     """libssl3t64 openssl libcurl4t64 curl libsystemd-shared libpng16-16t64 libexpat1 libxml2 libgnutls30t64 libcups2t64 haproxy php8.4-cli
     libtiff6 libpoppler147 bind9-libs libsqlite3-0 libnghttp2-14 rsync sudo openssh-server openssh-client libssh2-1t64"""),
    ("arm64-userland", "arm64", "bookworm-servers-ext4", "bookworm", "ext4",
     """libperl5.36 perl-base git dovecot-core samba-libs winbind smbclient libldb2 libnode108 mariadb-server-core nginx apache2-bin
     bind9-libs exim4-daemon-light haproxy libvpx7 libtiff6"""),
    ("armhf", "armhf", "userland-openssl-openssh", "bookworm", "ext4", "libssl3 openssl openssh-client openssh-server openssh-sftp-server"),
    ("armhf", "armhf", "userland-samba", "bookworm", "squashfs",
     "samba-libs samba-common-bin samba smbclient winbind ctdb samba-vfs-modules samba-dsdb-modules libldb2 ldb-tools libsmbclient"),
    ("amd64-userland", "amd64", "bookworm-ext4", "bookworm", "ext4", "libssl3 openssl libcurl4 curl libsystemd-shared systemd udev libexpat1"),
    ("compressed", "arm64", "squashfs-xz", "bookworm", "squashfs-xz", "libssl3 openssl libcurl4 curl libexpat1"),
    ("text", "amd64", "manual-tar", "bookworm", "tar", "postgresql-doc-15"),
    ("text", "amd64", "time-zones-tar", "bookworm", "tar", "tzdata"),
]

# (class, architecture, name, package, release or versions of which releases, file patterns, image): one file in two versions.
FILES = [
    ("arm64-library", "arm64", "libcrypto3", "libssl3", "bookworm", "newest", "usr/lib/*/libcrypto.so.3"),
    ("arm64-library", "arm64", "libcrypto3-older", "libssl3", "bookworm", "oldest", "usr/lib/*/libcrypto.so.3"),
    ("arm64-library", "arm64", "libcrypto3.5", "libssl3t64", "trixie", "newest", "usr/lib/*/libcrypto.so.3"),
    ("other-library", "arm64", "libc", "libc6", "bookworm", "newest", "lib/*/libc.so.6"),
    ("other-library", "arm64", "libsystemd-shared", "libsystemd-shared", "bookworm", "newest", "usr/lib/*/systemd/libsystemd-shared*.so"),
    ("other-library", "armhf", "armhf-libcrypto3", "libssl3", "bookworm", "newest", "usr/lib/*/libcrypto.so.3"),
    ("other-library", "amd64", "amd64-libcrypto3", "libssl3", "bookworm", "newest", "usr/lib/*/libcrypto.so.3"),
    ("boot-loader", "arm64", "u-boot-rockchip", "u-boot-rockchip", "", "newest", "usr/lib/u-boot/rockpro64-rk3399/u-boot.itb"),
    ("boot-loader", "armhf", "u-boot-imx-a32", "u-boot-imx", "", "newest", "usr/lib/u-boot/wandboard/u-boot.img"),
    ("boot-loader", "arm64", "systemd-boot", "systemd-boot-efi", "bookworm", "newest", "usr/lib/systemd/boot/efi/systemd-boot*.efi"),
    ("boot-loader", "arm64", "grub", "grub-efi-arm64-bin", "bookworm", "newest", "usr/lib/grub/arm64-efi/monolithic/grubaa64.efi"),
    ("boot-loader", "arm64", "efi-lzma", "qemu-efi-aarch64", "bookworm", "newest", "usr/share/qemu-efi-aarch64/QEMU_EFI.fd"),
    ("boot-loader", "amd64", "seabios", "seabios", "", "newest", "usr/share/seabios/bios-256k.bin"),
    ("secure-world", "arm64", "bl31-elf", "arm-trusted-firmware", "", "newest", "usr/lib/arm-trusted-firmware/rk3399/bl31.elf"),
    ("secure-world", "arm64", "optee", "optee-os", "", "newest", "usr/lib/optee/vexpress-qemu_armv8a/tee-pager_v2.bin"),
    ("secure-world", "arm64", "opensbi-riscv", "opensbi", "", "newest", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin"),
    ("secure-world", "arm64", "xen", "xen-hypervisor-4.17-arm64", "bookworm", "newest", "boot/xen-4*"),
    ("radio-firmware", "arm64", "carl9170", "firmware-carl9170", "", "newest", "**/carl9170-1.fw"),
    ("radio-firmware", "arm64", "hexagon-adsp", "firmware-qcom-soc", "", "qcom", "**/sdm845/adsp.mbn"),
    ("radio-firmware", "arm64", "modem-sdm845", "firmware-qcom-soc", "", "qcom", "**/sdm845/modem_nm.mbn", "**/sdm845/modem.mbn"),
    ("radio-firmware", "arm64", "ath10k", "firmware-atheros", "", "oldest", "**/ath10k/QCA6174/hw3.0/firmware-6.bin"),
    ("radio-firmware", "arm64", "brcm-videocore", "raspi-firmware", "", "newest", "**/start4.elf"),
]


def finish(folder, used):
    """What makes it a firmware folder, and where it is from."""
    (folder / "firmware.ini").write_text(f"project = BENCH\nversion = {folder.name}\n")
    lines = [f"package {row}" for row in used]
    for image in sorted(folder.glob("*.img")):
        lines.append(f"sha256 {hashlib.sha256(image.read_bytes()).hexdigest()} {image.name} {image.stat().st_size}")
    (folder / "SOURCES").write_text("\n".join(lines) + "\n")


def short(version):
    """A version as it may stand in a folder's name."""
    return re.sub(r"[^A-Za-z0-9.+~-]", "_", re.sub(r"^\d+:", "", version))


def between(old, new):
    return f"{short(old)}_{short(new)}"


def first(tree, patterns):
    for pattern in patterns:
        found = sorted(path for path in tree.glob(pattern) if path.is_file() and not path.is_symlink())
        if found:
            return found[0]
    raise Unavailable(f"no {patterns[0]} in the package")


def add_kernels(layout):
    for group, architecture, name, pattern, count in KERNELS:
        store = layout.store(architecture)
        found = steps(store.kernels(pattern), count)
        if len(found) < count:
            layout.miss(f"{group}/{name}", f"{len(found)} of {count} steps on offer")
        for rows in found:
            def make(sides, rows=rows, store=store):
                used = []
                for (version, package), side in zip(rows, sides):
                    (side / "boot.img").write_bytes(extract.kernel(store.member(package, version, "boot/vmlinuz-")))
                    used.append([f"{package} {version}"])
                return used
            layout.add(group, f"{name}-{between(rows[0][0], rows[1][0])}", make)


def add_trees(layout):
    for group, architecture, name, release, kind, packages in TREES:
        store = layout.store(architecture)
        chosen = {package: store.family(package, release) for package in packages.split()}
        changed = {package: (versions[0], versions[-1]) for package, versions in chosen.items() if len(versions) > 1}
        if not changed:
            layout.miss(f"{group}/{name}", "no package in two versions")
            continue

        def make(sides, store=store, chosen=chosen, kind=kind):
            trees, used = [layout.scratch / side for side in ("old", "new")], []
            for at, tree in zip((0, -1), trees):
                used.append(store.unpack_all([(package, versions[at]) for package, versions in chosen.items() if versions], tree))
                for dropped in DROPPED if kind != "tar" else []:
                    shutil.rmtree(tree / dropped, ignore_errors=True)
            extract.pack_trees(kind, trees, [side / "system.img" for side in sides])
            for tree in trees:
                shutil.rmtree(tree)
            return used
        if len(changed) == 1:
            name += "-" + between(*next(iter(changed.values())))
        else:
            # Versions are many: a digest of them tells one laying out from the next.
            told = hashlib.sha256(repr(sorted(changed.items())).encode()).hexdigest()[:6]
            name += f"-{len(changed)}-packages-{told}"
        layout.add(group, name, make)


def two_versions(versions, which):
    """A step from one upstream version to the next, the newest or the oldest on offer; else from one build to the next."""
    rows = [(version,) for version in versions]
    if which == "oldest":
        rows = rows[:2]
    elif which == "qcom":
        rows = [row for row in rows if "~bpo" not in row[0]][:2]
    found = steps(rows, 1) or ([(rows[-2], rows[-1])] if len(rows) > 1 else [])
    if not found:
        raise Unavailable(f"two versions; there are: {', '.join(versions) or 'none'}")
    return found[0][0][0], found[0][1][0]


def add_files(layout):
    for group, architecture, name, package, release, which, *patterns in FILES:
        store = layout.store(architecture)
        try:
            versions = two_versions(store.family(package, release), which)
        except Unavailable as reason:
            layout.miss(f"{group}/{name}", reason)
            continue

        def make(sides, store=store, package=package, versions=versions, patterns=patterns):
            used = []
            for version, side in zip(versions, sides):
                tree = layout.scratch / "tree"
                shutil.rmtree(tree, ignore_errors=True)
                used.append(store.unpack_all([(package, version)], tree))
                shutil.copyfile(first(tree, patterns), side / "image.img")
                shutil.rmtree(tree)
            return used
        layout.add(group, f"{name}-{between(*versions)}", make)


def add_demo(layout, demo):
    """The demo's partitions, one pair each."""
    for partition, group in DEMO.items():
        def make(sides, partition=partition):
            for version, side in zip(("v12", "v13"), sides):
                shutil.copyfile(demo / version / f"{partition}.img", side / f"{partition}.img")
            return [[f"the demo's {version}, {partition}.img"] for version in ("v12", "v13")]
        layout.add(group, f"demo-{partition}", make)


def add_made(layout, demo):
    """What no release looks like."""
    rng = random.Random("dfota")
    noise = [rng.randbytes(2 * MIB) for _ in range(2)]
    edited = bytearray(noise[0])
    for _ in range(50):
        at = rng.randrange(len(edited) - 64)
        edited[at:at + 64] = rng.randbytes(64)
    blob = (demo / "v13/tz.img").read_bytes()
    boot = (demo / "v12/boot.img").read_bytes()[:6 * MIB]
    made = [("made", "random-to-random", noise[0], noise[1]), ("made", "random-edited", noise[0], bytes(edited)),
            ("made", "identical", blob, blob), ("made", "from-empty", b"", blob), ("made", "to-zeros", blob, bytes(2 * MIB)),
            ("made", "halves-swapped", boot, boot[len(boot) // 2:] + boot[:len(boot) // 2])]
    for group, name, old, new in made:
        def make(sides, old=old, new=new):
            for data, side in zip((old, new), sides):
                (side / "image.img").write_bytes(data)
            return [["made on the spot"]] * 2
        layout.add(group, name, make)

    def gzipped(sides):
        for version, side in zip(("v12", "v13"), sides):
            with open(side / "image.img", "wb") as out:
                subprocess.run(["gzip", "-9nc", demo / version / "sbl.img"], stdout=out, check=True)
        return [[f"the demo's {version}, sbl.img, gzip -9n"] for version in ("v12", "v13")]
    layout.add("compressed", "gzip-boot-loader", gzipped)


def lay_out(layout, demo):
    add_demo(layout, demo)
    add_made(layout, demo)
    add_files(layout)
    add_kernels(layout)
    add_trees(layout)
    for store in layout.stores.values():
        if store.without:
            layout.missing.append(f"{store.architecture} packages of {', '.join(store.without)}: the archive's index is not what it signed")
