# SPDX-License-Identifier: MIT
"""Other delta tools at their best settings, each patch applied and compared. Results are kept by the digests of both images."""
import datetime
import filecmp
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

MIB = 1 << 20
LIMIT_S = 600  # for one run of a peer
BLOCK = 4096
ZEROS_MAX = 64 << 10  # in blocks; with more, bsdiff gets the images without them


class Failed(Exception):
    pass


class Cost:
    """What one run took. GNU time tells, since a child of this large process would be charged with its memory."""

    def __init__(self, seconds=0.0, cpu=0.0, mib=0.0):
        self.seconds, self.cpu, self.mib = seconds, cpu, mib


def measured(command, folder, limit=None):
    report = pathlib.Path(folder) / "cost"
    process = subprocess.Popen(["/usr/bin/time", "-q", "-o", str(report), "-f", "%e %U %S %M", *map(str, command)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _, talk = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed(f"did not end in {limit} s") from None
    if process.returncode:
        raise Failed(f"exit {process.returncode}: {talk.decode(errors='replace').strip()[-200:]}")
    wall, user, system, kib = report.read_text().split()
    return Cost(float(wall), float(user) + float(system), int(kib) / 1024)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_line(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((result.stdout + result.stderr).strip().splitlines() or [""])[0].strip("* ")


class Bsdiff:
    """Works for hours on long runs of zeros. Where there are many, it gets both images without their blocks of zeros."""
    name, programs = "bsdiff", ("bsdiff", "bspatch")

    def version(self):
        found = re.search(r"^Version: (.*)", subprocess.run(["dpkg-query", "-s", "bsdiff"], capture_output=True, text=True,
                                                            check=False).stdout, re.M)
        return "bsdiff " + (found[1] if found else "of unknown version")

    def run(self, old, new, folder):
        kept = [dense(path) for path in (old, new)]
        note = ""
        if any(path.stat().st_size - len(data) > ZEROS_MAX for path, data in zip((old, new), kept)):
            old, new = folder / "dense.old", folder / "dense.new"
            for path, data in zip((old, new), kept):
                path.write_bytes(data)
            note = "without blocks of zeros"
        patch, result = folder / "patch", folder / "result"
        built = measured(["bsdiff", old, new, patch], folder, LIMIT_S)
        applied = measured(["bspatch", old, result, patch], folder, LIMIT_S)
        return patch, new, result, built, applied, note


def dense(path):
    zeros = bytes(BLOCK)
    data = path.read_bytes()
    return b"".join(block for at in range(0, len(data), BLOCK) if (block := data[at:at + BLOCK]) != zeros)


class Xdelta3:
    name, programs = "xdelta3", ("xdelta3",)

    def version(self):
        return first_line("xdelta3", "-V")

    def run(self, old, new, folder):
        patch, result = folder / "patch", folder / "result"
        window = ["-B", str(max(old.stat().st_size, MIB))]  # the whole old image
        built = measured(["xdelta3", "-f", "-D", "-e", "-9", "-S", "lzma", *window, "-W", str(16 * MIB), "-s", old, new, patch],
                         folder, LIMIT_S)
        applied = measured(["xdelta3", "-f", "-D", "-R", "-d", *window, "-s", old, patch, result], folder, LIMIT_S)
        return patch, new, result, built, applied, ""


class Zstd:
    name, programs = "zstd", ("zstd",)

    def version(self):
        return re.sub(r", by .*", "", first_line("zstd", "--version"))

    def run(self, old, new, folder):
        patch, result = folder / "patch", folder / "result"
        source = f"--patch-from={old}"
        built = measured(["zstd", "-q", "-f", "--ultra", "-22", "--long=31", source, new, "-o", patch], folder, LIMIT_S)
        applied = measured(["zstd", "-q", "-f", "-d", "--long=31", source, patch, "-o", result], folder, LIMIT_S)
        return patch, new, result, built, applied, ""


class HDiffPatch:
    """Tried in both of its modes; the smaller patch counts."""
    name, programs = "hdiffz", ("hdiffz", "hpatchz")

    def version(self):
        return first_line("hdiffz", "-v") or "hdiffz"

    def run(self, old, new, folder):
        patch, result = folder / "patch", folder / "result"
        best = None
        for mode in ("-m-1", "-m-6"):
            trial = folder / f"trial{mode}"
            cost = measured(["hdiffz", "-f", mode, "-c-lzma2-9-64m", "-block-0", old, new, trial], folder, LIMIT_S)
            if best is None or trial.stat().st_size < patch.stat().st_size:
                trial.replace(patch)
                best = cost
        applied = measured(["hpatchz", "-f", old, patch, result], folder, LIMIT_S)
        return patch, new, result, best, applied, ""


ALL = [Bsdiff(), Xdelta3(), Zstd(), HDiffPatch()]


def available():
    """Peers that are installed; HDiffPatch is not Debian's, so it may be missing."""
    found = []
    for peer in ALL:
        absent = [program for program in peer.programs if shutil.which(program) is None]
        if not absent:
            found.append(peer)
        elif peer.name != "hdiffz":
            raise Failed(f"{absent[0]} is missing: scripts/setup bench installs it")
    return found


class Results:
    """get() measures, or takes what an earlier run found for the same images, tool and version, unless all is to be fresh."""

    def __init__(self, store, fresh, say):
        self.store, self.fresh, self.say = pathlib.Path(store), fresh, say
        try:
            self.known = json.loads(self.store.read_text())
        except (OSError, ValueError):
            self.known = {}
        self.now = set()  # measured in this run

    def get(self, tool, key, measure):
        key = f"{tool} {key}"
        if key not in self.known or (self.fresh and key not in self.now):
            row = measure()
            row["date"] = datetime.date.today().isoformat()
            self.known[key] = row
            self.now.add(key)
            staged = self.store.with_name(f".{self.store.name}.{os.getpid()}")
            staged.write_text(json.dumps(self.known, indent=1, sort_keys=True) + "\n")
            staged.replace(self.store)
        row = dict(self.known[key])
        row["fresh"] = key in self.now
        return row

    def peer(self, peer, version, old, new, folder):
        """bytes, build_s, build_mib, apply_s, apply_mib, note; or failed, with the reason."""
        return self.get(version, f"{digest(old)} {digest(new)}", lambda: self.peer_now(peer, old, new, folder))

    def peer_now(self, peer, old, new, folder):
        work = folder / peer.name
        work.mkdir()
        try:
            patch, wanted, result, built, applied, note = peer.run(old, new, work)
            if not filecmp.cmp(result, wanted, shallow=False):
                raise Failed("the patch does not give the new image")
            return {"bytes": patch.stat().st_size, "build_s": built.seconds, "build_mib": built.mib, "apply_s": applied.seconds,
                    "apply_mib": applied.mib, "note": note}
        except Failed as reason:
            return {"failed": str(reason)}
        finally:
            shutil.rmtree(work)

    def compressed(self, image, folder):
        """Bytes of the image alone, by the better of zstd and xz at their best."""
        def now():
            work = folder / "alone"
            measured(["zstd", "-q", "-f", "--ultra", "-22", "--long=31", image, "-o", work], folder)
            size = work.stat().st_size
            with open(work, "wb") as out:
                subprocess.run(["xz", "-9e", "-c", "-k", image], stdout=out, check=True)
            size = min(size, work.stat().st_size)
            work.unlink()
            return {"bytes": size}
        return self.get("alone", digest(image), now)["bytes"]
