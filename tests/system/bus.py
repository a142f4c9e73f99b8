# SPDX-License-Identifier: MIT
"""A USB bus of folders: what sysfs and /dev show of modules that are pseudo terminals here."""
import os
import pathlib
import shutil
import threading


class Bus:
    """Ports under self.sysfs and self.dev; arguments() makes dfota look there."""

    def __init__(self, folder):
        self.sysfs = pathlib.Path(folder) / "sys"
        self.dev = pathlib.Path(folder) / "dev"
        (self.sysfs / "class/tty").mkdir(parents=True)
        self.dev.mkdir()
        self.names = {}  # (socket, interface) -> tty

    def arguments(self):
        return ["--sysfs", str(self.sysfs), "--dev", str(self.dev)]

    def device(self, socket, ids="2c7c:0800", serial=None, product=None):
        """The folder of a device at a socket; hubs in between stand above it, as in sysfs."""
        folder = self.sysfs / "devices/pci0000:00/usb1"
        parts = socket.split(".")
        for i in range(1, len(parts) + 1):
            folder = folder / ".".join(parts[:i])
        folder.mkdir(parents=True, exist_ok=True)
        vendor, number = ids.split(":")
        for name, value in (("idVendor", vendor), ("idProduct", number), ("serial", serial), ("product", product)):
            if value is not None:
                (folder / name).write_text(value + "\n")
        return folder

    def plug(self, tty, socket, target, interface=2, acm=False, **about):
        """A port `tty` of the device; its node leads to `target`."""
        at = self.device(socket, **about) / f"{socket}:1.{interface}"
        at.mkdir(exist_ok=True)
        (at / "bInterfaceNumber").write_text(f"{interface:02x}\n")
        port = at if acm else at / tty
        node = port / "tty" / tty
        node.mkdir(parents=True)
        if not acm:
            (port / "port_number").write_text("0\n")
        os.symlink(os.path.relpath(port, node), node / "device")
        os.symlink(os.path.relpath(node, self.sysfs / "class/tty"), self.sysfs / "class/tty" / tty)
        os.symlink(target, self.dev / tty)
        self.names[socket, interface] = tty

    def unplug(self, socket, interface=2):
        """The device goes, with all it has."""
        tty = self.names.pop((socket, interface))
        (self.dev / tty).unlink()
        node = (self.sysfs / "class/tty" / tty).resolve()
        (self.sysfs / "class/tty" / tty).unlink()
        shutil.rmtree(node.parents[1] if node.parents[1].name == tty else node.parents[0])
        return tty


class Shuffle:
    """Whenever a module's port comes back, it has a number that nobody had lately, or another module's old one."""

    def __init__(self, bus, modules):
        self.bus = bus
        self.modules = dict(modules)  # socket -> (path of the pty's link, what plug() is told beside)
        self.free = []
        self.highest = 0
        self.moves = 0
        self.there = {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.fault = None

    def __enter__(self):
        self._look()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(10)
        if self.fault:
            raise self.fault

    def _run(self):
        try:
            while not self.stopping.wait(0.002):
                self._look()
        except Exception as fault:
            self.fault = fault

    def _number(self):
        if len(self.free) > 1:  # the oldest that another one has left
            return self.free.pop(0)
        self.highest += 1
        return self.highest

    def _look(self):
        for socket, (link, about) in self.modules.items():
            target = os.readlink(link) if os.path.islink(link) else None
            if target == self.there.get(socket):
                continue
            if self.there.get(socket):
                self.free.append(int(self.bus.unplug(socket).removeprefix("ttyUSB")))
            if target:
                self.bus.plug(f"ttyUSB{self._number()}", socket, target, **about)
                self.moves += 1
            self.there[socket] = target
