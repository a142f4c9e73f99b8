# SPDX-License-Identifier: MIT
"""One life of the guest after the other: each begins cold or from a snapshot, and ends with a cut or the guest's reboot.

The AT port is a pseudo-terminal of QEMU behind the symlink `port`: it goes with each life and is another one in the next.
"""
import json
import os
import pathlib
import socket
import subprocess
import threading
import time


from . import nand

NAND_CUT = 33  # QEMU's exit code when the NAND module ends it
LOW, HIGH = nand.ADDRESS, 64 << 20  # QEMU puts the initramfs and its own tables at the end of memory: the NAND lies before it
BOOT_S = 60
WORDS = ("console=ttyS0 panic=-1 mitigations=off tsc=reliable no_timer_check lpj=4000000 random.trust_cpu=on quiet "
         "loglevel=4")


class Failed(Exception):
    """The bed itself does not do what it must."""


class Control:
    """QEMU's control socket."""

    def __init__(self, path, process):
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + BOOT_S
        while True:
            try:
                self.socket.connect(str(path))
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > end:
                    raise Failed(f"QEMU does not start: {error}") from error
                time.sleep(0.01)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise Failed(f"QEMU ended in {command}")
            answer = json.loads(line)
            if "error" in answer:
                raise Failed(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


class Machine:
    """`disks`: pairs of name and size, in the order vda, vdb, …; served on `socket`. `chip`: a nand.Nand or None."""

    def __init__(self, folder, kernel, initrd, disks, disk_socket, chip=None):
        self.folder, self.disks, self.disk_socket, self.nand = pathlib.Path(folder), disks, disk_socket, chip
        self.kernel, self.initrd = kernel, initrd
        self.snapshot = self.folder / "snapshot"
        self.port = self.folder / "at"
        self.control_path = self.folder / "control"
        self.process = self.control = None
        self.console, self.heard = "", threading.Condition()
        self.log = open(self.folder / "console.log", "a", encoding="ascii", errors="replace")
        self.lives = self.cold = 0

    # ---- how QEMU is called ------------------------------------------------------------------------

    def _memory(self):
        if not self.nand:
            return ["-m", f"{(LOW + HIGH) >> 20}", "-machine", "pc"], ""
        words = ["-object", f"memory-backend-ram,id=low,size={LOW}",
                 "-object", f"memory-backend-file,id=nand,mem-path={self.nand.path},share=on,size={self.nand.bytes}",
                 "-object", f"memory-backend-ram,id=high,size={HIGH}", "-m", f"{(LOW + self.nand.bytes + HIGH) >> 20}",
                 "-machine", "pc", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        for name in "low", "nand", "high":
            words += ["-numa", f"node,memdev={name}"]
        return words, f"numa=off memmap={self.nand.bytes:#x}${LOW:#x} {self.nand.words()}"

    def _disks(self, empty):
        words = []
        for number, (name, size) in enumerate(self.disks):
            back = {"node-name": name, "driver": "null-co", "size": size, "read-zeroes": True} if empty else {
                "node-name": name, "driver": "nbd", "export": name, "server": {"type": "unix", "path": str(self.disk_socket)}}
            words += ["-blockdev", json.dumps(back), "-device", f"virtio-blk-pci,drive={name},addr={number + 5:#x},write-cache=on"]
        return words

    def _words(self, wait, empty, extra, job=None):
        memory, line = self._memory()
        words = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-nodefaults", "-display", "none", "-no-reboot",
                 "-serial", "stdio", "-chardev", "pty,id=at", "-serial", "chardev:at",
                 "-qmp", f"unix:{self.control_path},server=on,wait=off",
                 "-kernel", str(self.kernel), "-initrd", str(self.initrd),
                 "-append", " ".join(filter(None, [WORDS, line, "state=vda", "wait" if wait else "", f"job={job}" if job else ""]))]
        return words + memory + self._disks(empty) + list(extra)

    # ---- one life ----------------------------------------------------------------------------------

    def _launch(self, words):
        self.control_path.unlink(missing_ok=True)
        self.console = ""
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()
        self.control = Control(self.control_path, self.process)

    def _read(self, process):
        while True:
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            text = data.decode("ascii", "replace").replace("\r", "")
            with self.heard:
                self.console += text
                self.log.write(text)
                self.log.flush()
                self.heard.notify_all()

    def wait_console(self, text, seconds=BOOT_S):
        end = time.monotonic() + seconds
        with self.heard:
            while text not in self.console:
                if self.process.poll() is not None:
                    return False
                if time.monotonic() > end:
                    raise Failed(f"the guest did not say \"{text}\" in {seconds} s:\n{self.console[-3000:]}")
                self.heard.wait(0.1)
        return True

    def _link(self):
        for device in self.control("query-chardev"):
            if device["label"] == "at":
                self.point(device["filename"].removeprefix("pty:").split(" ")[0])

    def point(self, terminal):
        """Where hosts find the port: the link is complete or not there."""
        new = self.folder / ".at"
        new.unlink(missing_ok=True)
        new.symlink_to(terminal)
        new.rename(self.port)

    def turn(self):
        """Called over and over while a life lasts."""

    def start(self, cold, job=None):
        self.lives += 1
        self.cold += cold
        self.log.write(f"\n=== life {self.lives}, {'cold' if cold else 'from the snapshot'}\n")
        if cold:
            self._launch(self._words(False, False, [], job))
            self._link()
            return
        self._launch(self._words(True, False, ["-S", "-incoming", "defer"]))
        self._migration_kind()
        self.control("migrate-incoming", uri=f"exec:cat {self.snapshot}")
        self._migrated()
        self._link()
        self.control("cont")
        try:
            self.process.stdin.write(b"go\n")
            self.process.stdin.flush()
        except BrokenPipeError: # cut already
            pass

    def process_kill(self):
        """The end of the power, as a disk asks for it."""
        self.process.kill()

    def end(self):
        """After the process has ended, or to end it. Returns "reboot", "nand" or "killed"."""
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        self.reader.join()
        self.port.unlink(missing_ok=True)
        self.control.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        if any(word in self.console for word in ("Kernel panic", "Oops:", "Initramfs unpacking failed")):
            raise Failed(f"the guest's kernel failed:\n{self.console[-3000:]}")
        if code not in (0, NAND_CUT, -9):
            raise Failed(f"QEMU ended with {code}:\n{self.console[-3000:]}")
        return {0: "reboot", NAND_CUT: "nand", -9: "killed"}[code]

    # ---- snapshot ----------------------------------------------------------------------------------

    def _migration_kind(self):
        if self.nand: # the cells are in their file
            self.control("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def _migrated(self):
        end = time.monotonic() + BOOT_S
        while True:
            state = self.control("query-migrate")
            if state.get("status") == "completed":
                return
            if state.get("status") == "failed" or time.monotonic() > end:
                raise Failed(f"snapshot: {state}")
            time.sleep(0.01)

    def make_snapshot(self):
        """A guest that is up and has looked at no medium."""
        self._launch(self._words(True, True, []))
        self.wait_console("BED: waiting")
        self._migration_kind()
        self.control("migrate-set-parameters", **{"max-bandwidth": 1 << 33})
        self.control("stop")
        self.control("migrate", uri=f"exec:cat > {self.snapshot}")
        self._migrated()
        self.end()
