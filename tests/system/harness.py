# SPDX-License-Identifier: MIT
"""A real dfotad on a folder of its own, a host that follows its port over reboots, and packages built by the real tool.

Nothing here sleeps for luck: every wait polls for a condition and has a deadline.
"""
import os
import pathlib
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
import tty
import zipfile

DEADLINE_S = 60
PROJECT = "RG500Q-TEST"
FAST = {"urc-settle-ms": 0, "reboot-ms": 50}  # what a test need not wait for


class Late(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, seconds=DEADLINE_S, what="condition", pause=0.01):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Late(f"{what} did not come true in {seconds} s")
        time.sleep(pause)


def checksum(data):
    """The 16-bit XOR of the file commands."""
    total = 0
    for at in range(0, len(data) - 1, 2):
        total ^= data[at] << 8 | data[at + 1]
    return total ^ data[-1] << 8 if len(data) % 2 else total


# ---- firmware and packages --------------------------------------------------------------------------


def edited(rng, data, moved=True):
    """Changes, a move that makes a cycle, an insertion: what an image of the next version looks like. Without the move, most steps
    read what they write themselves."""
    data = bytearray(data)
    for _ in range(len(data) // 8192 + 4):
        at = rng.randrange(len(data) - 64)
        data[at:at + rng.randrange(1, 40)] = rng.randbytes(rng.randrange(1, 40))
    half = len(data) // 2 // 4096 * 4096
    fresh = rng.randbytes(3000)
    return bytes(data[half:] + fresh + data[:half] if moved else data[:half] + fresh + data[half:])


def text_like(rng, size):
    """Bytes that compress somewhat, as programs do."""
    words = [rng.randbytes(rng.randrange(2, 12)) for _ in range(400)]
    out = bytearray()
    while len(out) < size:
        out += rng.choice(words)
    return bytes(out[:size])


def write_firmware(folder, version, images, project=PROJECT):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    (folder / "firmware.ini").write_text(f"project = {project}\nversion = {version}\n")
    for name, data in images.items():
        (folder / f"{name}.img").write_bytes(data)
    return folder


def member_at(package, name):
    """Where the bytes of a member of the zip begin in its file."""
    with zipfile.ZipFile(package) as archive:
        header = archive.getinfo(name).header_offset
    data = pathlib.Path(package).read_bytes()
    name_bytes, extra_bytes = struct.unpack_from("<HH", data, header + 26)
    return header + 30 + name_bytes + extra_bytes


def images(folder):
    return {path.stem: path.read_bytes() for path in sorted(pathlib.Path(folder).glob("*.img"))}


def small_firmware():
    """The folder with v12/ and v13/ that `scripts/firmware --small` has made, or None."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "dfota" / "firmware-small"
    return folder if (folder / "v12/firmware.ini").exists() and (folder / "v13/firmware.ini").exists() else None


class Site:
    """A folder with two firmware versions, keys and the packages between them."""

    def __init__(self, dfota, dfotad, base=None):
        self.dfota, self.dfotad = dfota, dfotad
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dfota-test-", dir=base))
        self.modules = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for module in self.modules:
            module.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def tool(self, *arguments, expect=0):
        result = subprocess.run([self.dfota, *map(str, arguments)], capture_output=True, text=True, timeout=600)
        if expect is not None and result.returncode != expect:
            raise AssertionError(f"dfota {arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def plain(self, version="v12"):
        """One version of a tiny firmware, for tests that upgrade nothing."""
        rng = random.Random(7)
        write_firmware(self.folder / version, version, {name: rng.randbytes(5000) for name in ("boot", "system", "modem")})
        self.keys()

    def synthetic(self, seed=1, scale=1):
        """v12 and v13 of five partitions, about 1.3 MB in all; tz stays the same."""
        rng = random.Random(seed)
        sizes = {"boot": 400_000, "system": 700_001, "modem": 150_000, "sbl": 60_000, "tz": 40_000}
        old = {name: text_like(rng, size * scale) for name, size in sizes.items()}
        new = {name: data if name == "tz" else edited(rng, data) for name, data in old.items()}
        write_firmware(self.folder / "v12", "v12", old)
        write_firmware(self.folder / "v13", "v13", new)
        self.keys_and_packages()

    def real_small(self, most=0):
        """Real images when scripts/firmware has made them, at most so many bytes of each, else synthetic ones; returns which."""
        folder = small_firmware()
        if not folder:
            self.synthetic(scale=2)
            return "synthetic images"
        for version in ("v12", "v13"):
            shutil.copytree(folder / version, self.folder / version)
            if most:
                for image in (self.folder / version).glob("*.img"):
                    os.truncate(image, min(most, image.stat().st_size))
        self.keys_and_packages()
        return "real images"

    def keys(self):
        self.key = self.folder / "release"
        self.tool("keygen", self.key)

    def keys_and_packages(self):
        self.keys()
        self.up = self.pack("v12", "v13", "up.zip")
        self.down = self.pack("v13", "v12", "down.zip")

    def pack(self, old, new, name, key=None):
        package = self.folder / name
        self.tool("pack", self.folder / old, self.folder / new, "-o", package, "--key",
                  f"{key or self.key}.key")
        return package

    def module(self, name="module", version="v12", **ini):
        """A new module that runs `version`; keys of module.ini as keyword arguments (- as _)."""
        folder = self.folder / name
        self.tool("mkmodule", folder, "--firmware", self.folder / version, "--trust", f"{self.key}.pub")
        return self.adopt(folder, **ini)

    def adopt(self, folder, **ini):
        module = Module(folder, self.dfotad, **{**{key.replace("-", "_"): value for key, value in FAST.items()}, **ini})
        self.modules.append(module)
        return module

    def expected(self, version):
        return images(self.folder / version)

    def version(self, name):
        """What firmware.ini of that folder says."""
        return re.search(r"^version\s*=\s*(\S+)", (self.folder / name / "firmware.ini").read_text(), re.M).group(1)


# ---- module -----------------------------------------------------------------------------------------


class Module:
    def __init__(self, folder, dfotad, **ini):
        self.folder = pathlib.Path(folder)
        self.dfotad = dfotad
        self.process = None
        self.log_path = self.folder.parent / f"{self.folder.name}.log"
        self.configure(**ini)

    def configure(self, **ini):
        """Sets keys of module.ini; None takes one away."""
        path = self.folder / "module.ini"
        names = {key.replace("_", "-"): value for key, value in ini.items()}
        lines = [line for line in path.read_text().splitlines() if line.split("=")[0].strip() not in names]
        lines += [f"{name} = {value}" for name, value in names.items() if value is not None]
        path.write_text("\n".join(lines) + "\n")

    def start(self, *wrapper):
        assert not self.running()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*wrapper, self.dfotad, "--module", self.folder], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Power cut. The link to the port goes first: it would lead to whatever gets that terminal's number next."""
        if self.running():
            self.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            (self.folder / "at").unlink(missing_ok=True)
            self.process.kill()
        self.process.wait(DEADLINE_S)
        (self.folder / "at").unlink(missing_ok=True)

    def term(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def close(self):
        if self.running():
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, seconds=DEADLINE_S, start=0):
        """Waits for a line that matches, behind character `start` of the log; returns the match."""
        try:
            return wait_for(lambda: re.compile(pattern, re.M).search(self.log(), start), seconds, f"log: {pattern}")
        except Late as late:
            raise Late(f"{late}\n{self.log()}") from None

    def wait_boot(self, mode, seconds=DEADLINE_S, start=0):
        return self.wait_log(rf"boot: .*{mode}", seconds, start)

    def images(self):
        return images(self.folder / "flash")

    def put(self, package, name="update.zip"):
        """Into the store, past the port."""
        shutil.copy(package, self.folder / "ufs" / name)
        return f"/cache/ufs/{name}"

    def host(self):
        return Host(self.folder / "at")


# ---- host -------------------------------------------------------------------------------------------

FINAL = re.compile(r"OK|ERROR|\+CME ERROR: .*|CONNECT")


class Host:
    """Keeps the port open, over reboots, and collects what comes: self.received (bytes) and lines()."""

    def __init__(self, link):
        self.link = str(link)
        self.received = bytearray()
        self.opens = 0
        self.fd = None
        self.changed = threading.Condition()
        self.stopping = False
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join(5)

    def _open(self):
        try:
            fd = os.open(self.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            tty.setraw(fd, termios.TCSANOW)
        except termios.error:
            os.close(fd)
            return None
        return fd

    def _follow(self):
        while not self.stopping:
            fd = self._open()
            if fd is None:
                time.sleep(0.002)
                continue
            with self.changed:
                self.fd = fd
                self.opens += 1
                self.changed.notify_all()
            self._read(fd)
            with self.changed:
                self.fd = None
                self.changed.notify_all()
            os.close(fd)

    def _read(self, fd):
        while not self.stopping:
            if not select.select([fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            if not data:
                return
            with self.changed:
                self.received += data
                self.changed.notify_all()

    def _wait(self, condition, seconds, what):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise Late(f"{what} did not come in {seconds} s; got {bytes(self.received[-600:])}")

    def wait_open(self, seconds=DEADLINE_S, opens=1):
        self._wait(lambda: self.fd is not None and self.opens >= opens, seconds, "the port")

    def lines(self, start=0):
        return [line for line in re.split(r"[\r\n]+", self.received[start:].decode("latin-1")) if line]

    def send(self, data, seconds=DEADLINE_S):
        self.wait_open(seconds)
        with self.changed:
            fd = self.fd
        end = time.monotonic() + seconds
        while data:
            try:
                data = data[os.write(fd, data):]
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Late("the port takes nothing") from None
                select.select([], [fd], [], 0.1)

    def expect(self, pattern, seconds=DEADLINE_S, start=0):
        """Waits for the pattern (bytes) behind offset `start` of what was received; returns the match."""
        compiled = re.compile(pattern, re.S)
        self._wait(lambda: compiled.search(self.received, start), seconds, repr(pattern))
        return compiled.search(bytes(self.received), start)

    def command(self, command, seconds=5):
        """Sends a line; returns (lines of information, final result). The echo is left out."""
        start = len(self.received)
        self.send(command.encode("latin-1") + b"\r")
        self.expect(rb"\r\n(OK|ERROR|\+CME ERROR: [^\r\n]*|CONNECT)\r\n", seconds, start)
        out = []
        for line in self.lines(start):
            if FINAL.fullmatch(line):
                return out, line
            if line != command and not line.startswith("+QIND:"):
                out.append(line)
        raise AssertionError("unreachable")

    def greet(self, seconds=DEADLINE_S):
        """Until AT is answered on a port that stays."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.command("AT", 2)
            except (Late, OSError):
                if time.monotonic() > end:
                    raise

    def version(self):
        lines, final = self.command("ATI")
        assert final == "OK", final
        return re.fullmatch(r"Revision: (\S+)", lines[2]).group(1)

    def fota(self, start=0):
        """The FOTA URCs so far: [("START", None), ("UPDATING", 7), ...]"""
        found = re.findall(rb'\r\n\+QIND: "FOTA","([A-Z]+)"(?:,(\d+))?\r\n', bytes(self.received[start:]))
        return [(name.decode(), int(value) if value else None) for name, value in found]

    def wait_fota(self, name, seconds=DEADLINE_S, start=0):
        """Value of the first URC of that name."""
        self._wait(lambda: any(urc[0] == name for urc in self.fota(start)), seconds, f"URC {name}")
        return next(urc[1] for urc in self.fota(start) if urc[0] == name)

    def upload(self, data, name, size=None, ack=True, timeout=5):
        """AT+QFUPL; returns the response's count and checksum and the acknowledgements that came."""
        size = len(data) if size is None else size
        _, final = self.command(f'AT+QFUPL="{name}",{size},{timeout},{int(ack)}')
        assert final == "CONNECT", final
        start = len(self.received)
        self.send(data)
        match = self.expect(rb"(A*)\r\n\+QFUPL: (\d+),([0-9a-f]+)\r\n\r\nOK\r\n", DEADLINE_S, start)
        return int(match.group(2)), int(match.group(3), 16), len(match.group(1))
