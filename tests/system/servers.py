# SPDX-License-Identifier: MIT
"""Servers to download from, on 127.0.0.1 with ports of their own: nginx, pyftpdlib, scripted ones, and a wire that breaks.

All are context managers with a .port.
"""
import http.client
import pathlib
import queue
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

DEADLINE_S = 20
KNOCK = "/.knock"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(folder, name="server", subject="IP:127.0.0.1,DNS:localhost", expired=False):
    """A self-signed certificate; returns (certificate, key)."""
    folder = pathlib.Path(folder)
    certificate, key = folder / f"{name}.crt", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", certificate, "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}",
                    "-days", "2"], check=True, capture_output=True, timeout=60)
    if expired:
        subprocess.run(["openssl", "x509", "-in", certificate, "-signkey", key, "-days", "-1", "-out", certificate],
                       check=True, capture_output=True, timeout=60)
    return certificate, key


# ---- nginx ------------------------------------------------------------------------------------------


class Nginx:
    """Serves a folder; tls: False, True (a certificate of its own) or (certificate, key). rate: bytes per second."""

    def __init__(self, folder, tls=False, rate=0, extra=""):
        self.folder = pathlib.Path(folder).resolve()
        self.rate, self.extra = rate, extra
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="dfota-nginx-"))
        self.tls = make_certificate(self.home) if tls is True else tls
        self.certificate = self.tls[0] if self.tls else None
        self.process = None

    def _configuration(self):
        tls = f"ssl_certificate {self.tls[0]}; ssl_certificate_key {self.tls[1]};" if self.tls else ""
        rate = f"limit_rate {self.rate};" if self.rate else ""
        temporary = "\n".join(f"{kind}_temp_path {self.home}/{kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""
daemon off; master_process off; pid {self.home}/pid; error_log {self.home}/error.log;
events {{ worker_connections 64; }}
http {{
  {temporary}
  log_format asked '$request_method\t$uri\t$http_range\t$http_if_range\t$status\t$body_bytes_sent';
  access_log {self.home}/access.log asked;
  server {{
    listen 127.0.0.1:{self.port} {'ssl' if self.tls else ''}; {tls}
    root {self.folder}; {rate}
    {self.extra}
  }}
}}
"""

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        for _ in range(5):  # another program may take the port between the two
            self.port = free_port()
            (self.home / "nginx.conf").write_text(self._configuration())
            with open(self.home / "start.log", "wb") as log:
                self.process = subprocess.Popen([nginx, "-p", self.home, "-c", self.home / "nginx.conf"], stdout=log,
                                                stderr=log, stdin=subprocess.DEVNULL)
            end = time.monotonic() + DEADLINE_S
            while self.process.poll() is None and time.monotonic() < end:
                if self._answers():
                    return self
                time.sleep(0.01)
            self.stop()
        raise AssertionError(f"nginx does not start:\n{(self.home / 'start.log').read_text()}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _knock(self):
        """One more request: when it is answered, nginx has logged all that ended before."""
        context = ssl.create_default_context() if self.tls else None
        kind, named = (http.client.HTTPSConnection, {"context": context}) if self.tls else (http.client.HTTPConnection, {})
        if context:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = kind("127.0.0.1", self.port, timeout=DEADLINE_S, **named)
        connection.request("HEAD", KNOCK)
        connection.getresponse().read()
        connection.close()

    def requests(self):
        """One dictionary for each request that has ended, in order."""
        names = ("method", "path", "range", "if_range", "status", "bytes")
        self._knock()
        lines = (self.home / "access.log").read_text().splitlines()
        rows = [dict(zip(names, line.split("\t"))) for line in lines]
        return [row for row in rows if row["method"] and row["path"] not in ("-", "", KNOCK)]


# ---- FTP --------------------------------------------------------------------------------------------


class Ftp:
    """pyftpdlib over a folder. user None: anonymous. rate: bytes per second of each data connection. cuts: bytes after which
    the first, second, ... data connection and its control connection break (None: not). without: commands it does not know.
    """

    def __init__(self, folder, user=None, password="", rate=0, cuts=(), without=()):
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer

        authorizer = DummyAuthorizer()
        if user is None:
            authorizer.add_anonymous(str(folder))
        else:
            authorizer.add_user(user, password, str(folder))
        self.commands = []  # (name, argument), in order, of all connections
        self.cuts = list(cuts)
        self.loop = IOLoop()
        self.server = FTPServer(("127.0.0.1", 0), self._handler(FTPHandler, ThrottledDTPHandler, rate, without),
                                ioloop=self.loop)
        self.server.handler.authorizer = authorizer
        self.port = self.server.socket.getsockname()[1]
        self.login = f"{user}:{password}@" if user else ""
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _handler(self, control, throttled, rate, without):
        ftp = self

        class Data(throttled):
            read_limit = write_limit = rate
            auto_sized_buffers = rate > 0

            def __init__(self, *arguments, **named):
                super().__init__(*arguments, **named)
                self.left = ftp.cuts.pop(0) if ftp.cuts else None

            def send(self, data):
                if self.left is None:
                    return super().send(data)
                if self.left == 0:
                    self.cmd_channel.close()
                    return 0
                sent = super().send(data[:self.left])
                self.left -= sent
                return sent

        class Control(control):
            dtp_handler = Data
            use_sendfile = False
            auth_failed_timeout = 0
            proto_cmds = {name: value for name, value in control.proto_cmds.items() if name not in without}

            def pre_process_command(self, line, name, argument):
                ftp.commands.append((name, argument))
                super().pre_process_command(line, name, argument)

            def log(self, *_, **__):
                pass

            logline = logerror = log

        return Control

    def _serve(self):
        while not self.stopping.is_set():
            self.loop.loop(timeout=0.02, blocking=False)
        self.server.close_all()
        self.loop.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(DEADLINE_S)

    @property
    def url(self):
        return f"ftp://{self.login}127.0.0.1:{self.port}"

    def arguments(self, name):
        return [argument for command, argument in self.commands if command == name]


# ---- scripted ---------------------------------------------------------------------------------------

HOLD = object()  # in a script: keep the connection until the client closes it


class Listener:
    """Accepts connections; each gets a thread that runs serve(connection, index)."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = queue.SimpleQueue()
        self.connections = 0
        self.failures = []
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(DEADLINE_S)
        while not self.open.empty():
            try:
                self.open.get().shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
        if self.failures:
            raise self.failures[0]

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.put(connection)
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()
            self.connections += 1

    def _serve(self, connection, index):
        try:
            with connection:
                self.serve(connection, index)
        except OSError:
            pass  # the client went away: often what the test is about
        except Exception as failure:  # a mistake in the test's script must not pass unseen
            self.failures.append(failure)

    def serve(self, connection, index):
        raise NotImplementedError


class Scripted(Listener):
    """An HTTP server of any temper: script(request, index) yields the bytes of the answer to connection `index`.

    `requests` holds what was asked: dictionaries of header fields, with "" for the request line.
    """

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection, index):
        text = b""
        while b"\r\n\r\n" not in text:
            piece = connection.recv(4096)
            if not piece:
                return
            text += piece
        first, *lines = text.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
        request = {"": first}
        request.update((name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
        self.requests.append(request)
        for piece in self.script(request, index):
            if piece is HOLD:
                while connection.recv(4096):
                    pass
                return
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):  # so that what was sent is not lost to a reset
            pass


def answer(status, body=b"", **fields):
    """Bytes of an answer; fields as ETag="...", Content_Range="..."; Content-Length unless given (None: none)."""
    fields = {"Content_Length": len(body), **fields}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body


class Cutter(Listener):
    """A wire to another server on `port` that breaks: cuts[i] bytes of the server's go through connection i (None: all)."""

    def __init__(self, port, cuts=()):
        super().__init__()
        self.target, self.cuts = port, list(cuts)

    def serve(self, connection, index):
        left = self.cuts[index] if index < len(self.cuts) else None
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            threading.Thread(target=self._forward, args=(connection, server), daemon=True).start()
            while left is None or left > 0:
                piece = server.recv(65536 if left is None else min(left, 65536))
                if not piece:
                    break
                connection.sendall(piece)
                left = left if left is None else left - len(piece)
            connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _forward(client, server):
        try:
            while piece := client.recv(65536):
                server.sendall(piece)
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # cut
