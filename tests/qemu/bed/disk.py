# SPDX-License-Identifier: MIT
"""Disks with a volatile cache, served to QEMU over NBD: what a guest has not flushed may be lost, in part, or torn.

All disks of a machine hang on one Supply, which counts their writes and flushes and cuts the power at one of them: before it, while
it is under way, or just after it. At a cut each write since the disk's last flush survives whole, not at all, or in some of its
sectors; the draw is of the supply's seed.
"""
import os
import random
import socket
import struct
import threading

BEFORE, TORN, AFTER = range(3)
KINDS = ("before", "torn", "after")

# The protocol, https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md: fixed newstyle, simple replies.
IHAVEOPT, REPLY_MAGIC = 0x49484156454F5054, 0x3E889045565A9
OPT_EXPORT_NAME, OPT_ABORT, OPT_INFO, OPT_GO = 1, 2, 6, 7
REP_ACK, REP_INFO, REP_UNSUPPORTED, REP_UNKNOWN = 1, 3, 0x80000001, 0x80000006
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
FUA = 1
REQUEST, REQUEST_MAGIC, ANSWER_MAGIC = struct.Struct(">IHHQQI"), 0x25609513, 0x67446698


class Supply:
    """The power of one machine. `cut` is called, once, from the thread of the disk whose operation met the cut."""

    def __init__(self):
        self.lock = threading.Lock()
        self.disks = []
        self.operations = 0
        self.on = False
        self.at = self.kind = self.cut = None
        self.rng = random.Random(0)

    def switch_on(self, at=None, kind=BEFORE, seed=0, cut=None):
        """Operations are counted from here; the `at`-th (from 1) is the last one."""
        self.operations, self.at, self.kind, self.cut = 0, at, kind, cut
        self.rng = random.Random(seed)
        self.on = True

    def switch_off(self, lose):
        """After the machine's end. False: it was a reboot, and the disks have kept their power."""
        with self.lock:
            if self.on:
                self._off(lose)

    def _off(self, lose):
        self.on = False
        for disk in self.disks:
            disk.settle(self.rng if lose else None)

    def operation(self, act):
        """Runs `act`; with the power cut at it False."""
        with self.lock:
            if not self.on:
                return False
            self.operations += 1
            if self.operations != self.at:
                act(None)
                return True
            act(self.kind)
            self._off(True)
        self.cut()
        return False


class Disk:
    """`path` holds what is durable; `sector` is the unit in which a write may be torn."""

    def __init__(self, supply, name, path, sector=512):
        self.supply, self.name, self.path, self.sector = supply, name, path, sector
        self.file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.fstat(self.file).st_size
        self.view = bytearray(os.pread(self.file, self.size, 0))
        self.pending = []
        self.lost = self.torn = 0
        supply.disks.append(self)

    def close(self):
        os.close(self.file)

    def _put(self, offset, data):
        os.pwrite(self.file, data, offset)

    def settle(self, rng):
        """What the medium holds once the power is gone; without `rng` all of it."""
        for offset, data in self.pending:
            fate = rng.randrange(3) if rng else 0
            if fate == 0:
                self._put(offset, data)
            elif fate == 1:
                self.lost += 1
            else:
                self._tear(rng, offset, data)
        self.pending.clear()
        self.view[:] = os.pread(self.file, self.size, 0)

    def _tear(self, rng, offset, data):
        """A first part, or sectors here and there."""
        self.torn += 1
        count = len(data) // self.sector
        first = rng.randrange(count + 1)
        scattered = rng.randrange(2)
        for at in range(count):
            if rng.randrange(2) if scattered else at < first:
                self._put(offset + at * self.sector, data[at * self.sector:(at + 1) * self.sector])

    def write(self, offset, data, through):
        def act(kind):
            if kind == BEFORE:
                return
            self.view[offset:offset + len(data)] = data
            self.pending.append((offset, data))
            if through and kind != TORN:
                self.settle_now()
        return self.supply.operation(act)

    def flush(self):
        return self.supply.operation(lambda kind: None if kind in (BEFORE, TORN) else self.settle_now())

    def settle_now(self):
        for offset, data in self.pending:
            self._put(offset, data)
        self.pending.clear()


class Server:
    """Serves disks by name on a unix socket, each connection in a thread of its own, until close."""

    def __init__(self, path, disks):
        self.path, self.disks = path, {disk.name: disk for disk in disks}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.lock, self.peers = threading.Lock(), {}
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self):
        """Ends what a machine that is gone has left in its sockets: it must not reach the disks in the next life."""
        with self.lock:
            peers = list(self.peers.items())
        for peer, thread in peers:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError: # gone by itself
                pass
            thread.join()

    def close(self):
        self.drop()
        self.listener.close()
        os.unlink(self.path)

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            with self.lock:
                self.peers[peer] = thread
                thread.start()

    def _serve(self, peer):
        with peer:
            try:
                disk = self._greet(peer)
                while disk and self._request(peer, disk):
                    pass
            except (OSError, EOFError, struct.error):
                pass
            finally:
                with self.lock:
                    del self.peers[peer]

    def _greet(self, peer):
        peer.sendall(b"NBDMAGIC" + struct.pack(">QH", IHAVEOPT, 3))
        take(peer, 4)
        while True:
            _, option, size = struct.unpack(">QII", take(peer, 16))
            body = take(peer, size)
            if option == OPT_EXPORT_NAME:
                disk = self.disks[body.decode()]
                peer.sendall(struct.pack(">QH", disk.size, HAS_FLAGS | SEND_FLUSH | SEND_FUA))
                return disk
            if option in (OPT_INFO, OPT_GO):
                length, = struct.unpack_from(">I", body)
                disk = self.disks.get(body[4:4 + length].decode())
                if not disk:
                    answer(peer, option, REP_UNKNOWN)
                    continue
                answer(peer, option, REP_INFO, struct.pack(">HQH", 0, disk.size, HAS_FLAGS | SEND_FLUSH | SEND_FUA))
                answer(peer, option, REP_ACK)
                if option == OPT_GO:
                    return disk
            elif option == OPT_ABORT:
                answer(peer, option, REP_ACK)
                return None
            else:
                answer(peer, option, REP_UNSUPPORTED)

    def _request(self, peer, disk):
        magic, flags, kind, handle, offset, size = REQUEST.unpack(take(peer, REQUEST.size))
        data = take(peer, size) if kind == WRITE else b""
        if magic != REQUEST_MAGIC or kind == DISCONNECT:
            return False
        reply = struct.pack(">IIQ", ANSWER_MAGIC, 0, handle)
        if kind == READ:
            peer.sendall(reply + bytes(disk.view[offset:offset + size]))
            return True
        if kind == WRITE:
            done = disk.write(offset, data, flags & FUA)
        else:
            done = kind == FLUSH and disk.flush()
        if done:
            peer.sendall(reply)
        return done


def take(peer, count):
    data = bytearray()
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def answer(peer, option, kind, data=b""):
    peer.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)
