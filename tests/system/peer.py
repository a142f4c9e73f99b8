# SPDX-License-Identifier: MIT
"""A scripted module on a pseudo terminal, for tests of the host.

A Peer answers commands from a table and plays a plan: a generator that starts when AT+QFOTADL was accepted and yields a
number of seconds or a condition (a function) to wait for. The port comes and goes with up() and down(),
each time under another number behind the same link, as on a real bus.
"""
import os
import re
import select
import threading
import time
import tty

CONDITION_LIMIT_S = 20


def checksum(data):
    """The 16-bit XOR of the file commands, written out here anew so that the host's is checked against it."""
    total = 0
    for at in range(0, len(data) - 1, 2):
        total ^= data[at] << 8 | data[at + 1]
    if len(data) % 2:
        total ^= data[-1] << 8
    return total


class Peer:
    def __init__(self, folder, version="APP01", plan=None):
        self.link = os.path.join(folder, "at")
        self.version = version
        self.plan = plan
        self.echo = True
        self.trickle = False       # write byte by byte
        self.pace_s = 0            # what each block of an upload takes, as over a slow line
        self.free = 1 << 30
        self.files = {}            # name -> bytes
        self.uploads = 0
        self.spoil_uploads = 0     # so many uploads end with a wrong checksum
        self.answers = {}          # command, or its start up to "=": bytes or function(peer, command)
        self.commands = []         # all lines received
        self.requests = []         # parameters of AT+QFOTADL
        self.seen = 0              # commands since the port came up
        self.mute = False
        self.master = self.slave = None
        self.line = b""
        self.data = None           # (name, size, received) in data mode
        self.data_s = 0.0          # when the last byte of data came
        self.pluses = 0
        self.playing = None
        self.due = 0.0
        self.condition = None
        self.fault = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    # -- life cycle -----------------------------------------------------------------------------

    def __enter__(self):
        self.up()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(10)
        self.down()
        if self.fault:
            raise self.fault

    def up(self):
        blocker = os.openpty()  # takes the number that was free last: the new port has another
        self.master, self.slave = os.openpty()
        for fd in blocker:
            os.close(fd)
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        os.symlink(os.ttyname(self.slave), self.link + ".new")
        os.rename(self.link + ".new", self.link)
        self.seen = 0
        self.line = b""
        self.data = None

    def down(self, leave_link=False):
        if self.master is None:
            return
        if not leave_link:
            os.unlink(self.link)
        os.close(self.master)
        os.close(self.slave)
        self.master = self.slave = None

    # -- for plans ------------------------------------------------------------------------------

    def greeted(self):
        """The host has sent something since the port came up: nothing sent now can be lost."""
        return self.seen > 0 and self.data is None

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        pieces = [data[i:i + 1] for i in range(len(data))] if self.trickle else [data]
        deadline = time.monotonic() + CONDITION_LIMIT_S
        for piece in pieces:
            while piece:
                try:
                    piece = piece[os.write(self.master, piece):]
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise
                    select.select([], [self.master], [], 0.1)

    def urc(self, text):
        self.send(f"\r\n{text}\r\n")

    def fota(self, what, value=None):
        self.urc(f'+QIND: "FOTA","{what}"' + ("" if value is None else f",{value}"))

    # -- serving --------------------------------------------------------------------------------

    def _serve(self):
        try:
            while not self.stopping.is_set():
                self._play()
                if self.master is None:
                    self.stopping.wait(0.005)
                    continue
                if select.select([self.master], [], [], 0.005)[0]:
                    for byte in os.read(self.master, 4096):
                        self._take(bytes([byte]))
        except Exception as fault:  # told to the test by __exit__
            self.fault = fault

    def _play(self):
        if self.playing is None or time.monotonic() < self.due:
            return
        if self.condition and not self.condition():
            if time.monotonic() > self.due + CONDITION_LIMIT_S:
                raise AssertionError(f"the plan waited for {self.condition.__name__} in vain")
            return
        try:
            wish = next(self.playing)
        except StopIteration:
            self.playing = None
            return
        self.condition = wish if callable(wish) else None
        self.due = time.monotonic() + (0 if callable(wish) else wish)

    def _take(self, byte):
        if self.data:
            self._take_data(byte)
        elif byte == b"\r":
            line, self.line = self.line.decode("latin-1"), b""
            if self.echo and not self.mute:
                self.send(line + "\r")
            start = line.upper().find("AT")
            if start >= 0:
                self.seen += 1
                self.commands.append(line[start:])
                if not self.mute:
                    self._answer(line[start:])
        elif byte not in (b"\n", b"\xff"):
            self.line += byte

    def _answer(self, line):
        for key in (line, line.split("=")[0], line.split("?")[0]):
            if key in self.answers:
                answer = self.answers[key]
                if callable(answer):
                    answer(self, line)
                else:
                    self.send(answer)
                return
        name, _, parameters = line.partition("=")
        handler = {
            "AT": self._ok, "ATE0": self._echo_off, "AT+CMEE": self._ok, "ATQ0V1": self._ok,
            "ATI": self._identify, "AT+QFLDS": self._space, "AT+QFDEL": self._delete, "AT+QFUPL": self._upload,
            "AT+QFOTADL": self._request,
        }.get(name.upper())
        if handler:
            handler(parameters)
        else:
            self.send("\r\nERROR\r\n")

    def _ok(self, _):
        self.send("\r\nOK\r\n")

    def _echo_off(self, _):
        self.echo = False
        self.send("\r\nOK\r\n")

    def _identify(self, _):
        self.send(f"\r\nQuectel\r\nRG500Q-EA\r\nRevision: {self.version}\r\n\r\nOK\r\n")

    def _space(self, _):
        self.send(f"\r\n+QFLDS: {self.free},{self.free * 2}\r\n\r\nOK\r\n")

    def _delete(self, parameters):
        gone = self.files.pop(parameters.strip('"'), None)
        self.send("\r\nOK\r\n" if gone is not None else "\r\n+CME ERROR: 405\r\n")

    def _upload(self, parameters):
        match = re.fullmatch(r'"([^"]*)",(\d+),(\d+),1', parameters)
        if not match:
            self.send("\r\n+CME ERROR: 400\r\n")
        elif match[1] in self.files:
            self.send("\r\n+CME ERROR: 407\r\n")
        else:
            self.data = (match[1], int(match[2]), bytearray())
            self.uploads += 1
            self.send("\r\nCONNECT\r\n")

    def _take_data(self, byte):
        name, size, received = self.data
        silence, self.data_s = time.monotonic() - self.data_s, time.monotonic()
        self.pluses = self.pluses + 1 if byte == b"+" and (self.pluses or silence > 1) else 0
        if self.pluses == 3:  # the silence after it is not awaited here
            self.data = None
            self.send(f"\r\n+QFUPL: {len(received) - 2},0\r\n\r\nOK\r\n")
            return
        received += byte
        if len(received) % 1024 == 0:
            self.stopping.wait(self.pace_s)
            self.send(b"A")
        if len(received) < size:
            return
        self.data = None
        self.files[name] = bytes(received)
        told = checksum(received)
        if self.uploads <= self.spoil_uploads:
            told ^= 1
        self.send(f"\r\n+QFUPL: {size},{told:x}\r\n\r\nOK\r\n")

    def _request(self, parameters):
        self.requests.append(parameters)
        self.send("\r\nOK\r\n")
        if self.plan and self.playing is None:
            self.playing = self.plan(self)
            self.due = time.monotonic()
