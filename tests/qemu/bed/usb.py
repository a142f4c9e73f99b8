# SPDX-License-Identifier: MIT
"""The AT port as a USB serial line: it comes up late, and is unplugged and plugged in again while dfotad writes.

The host sees what it sees of a real module: its terminal hangs up, the path is gone, and leads to another one later.
"""
import pathlib
import re
import time

from . import backends, machine
from .site import Site

AWAY_S = 1.5


class UsbMachine(machine.Machine):
    """Cold lives only: QEMU cannot put this device into a snapshot."""

    replug_at = re.compile("writing begins|goes on at")  # once in all; a cut may come between

    def __init__(self, *words):
        super().__init__(*words)
        self.replugs = self.number = 0
        self.away_since = None

    def _words(self, *words):
        return super()._words(*words) + ["-device", "qemu-xhci,id=xhci"]

    def start(self, cold, job=None):
        self.away_since = None
        super().start(True, job)

    def _link(self):
        """Called when QEMU is up: plugs the line in."""
        self.number += 1
        name = f"usb{self.number}"
        path = self.control("chardev-add", id=name, backend={"type": "pty", "data": {}})["pty"]
        self.control("device_add", driver="usb-serial", chardev=name, id=f"line{self.number}", bus="xhci.0",
                     **{"always-plugged": True})
        self.point(path)

    def _unlink(self):
        self.port.unlink()
        self.control("device_del", id=f"line{self.number}")
        end = time.monotonic() + 10
        while True: # the guest has a word in this
            try:
                self.control("chardev-remove", id=f"usb{self.number}")
                return
            except machine.Failed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def turn(self):
        if self.away_since is None and not self.replugs and self.replug_at.search(self.console):
            self._unlink()
            self.away_since = time.monotonic()
        elif self.away_since and not self.replugs and time.monotonic() > self.away_since + AWAY_S:
            self._link()
            self.replugs += 1


class Usb(backends.Block):
    name = "usb"
    early = backends.Block.early + ["xhci_pci", "usbserial", "ftdi_sio"]
    chain = "disk@110.torn#1"
    sizes = {"boot": 600_000, "system": 900_001, "tz": 16_384}

    def ini(self):
        return super().ini() + "port = /dev/ttyUSB0\n"

    def site(self, *words):
        return UsbSite(*words)


class UsbSite(Site):
    def snapshot_make(self):
        self.snapshot = None

    def machine(self, folder):
        return UsbMachine(folder, self.kernel.vmlinux, self.initrd, self.disks, pathlib.Path(folder) / "nbd")

    def told(self, text, guest):
        del text
        if guest.replugs != 1:
            return "the line was not unplugged in time"
        log = (guest.folder / "console.log").read_text()
        if "port /dev/ttyUSB0: gone" not in log or log.rindex("port /dev/ttyUSB0: there") < log.index("port /dev/ttyUSB0: gone"):
            return "dfotad did not tell that its port went and came"
        return None
