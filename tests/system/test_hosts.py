#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Host software of others against a real module: chat and expect scripts, and ModemManager with its Quectel plugin.

usage: test_hosts.py DFOTA DFOTAD
What is not installed is skipped, and said so; scripts/setup test installs it.
"""
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, wait_for  # noqa: E402

os.environ["PATH"] += ":/usr/sbin:/sbin"
DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)


def setUpModule():
    global SITE
    SITE = Site(DFOTA, DFOTAD).__enter__()
    SITE.synthetic()
    unittest.addModuleCleanup(SITE.__exit__, None, None, None)


def needs(*programs):
    absent = [program for program in programs if not shutil.which(program)]
    if absent:
        print(f"SKIPPED, NOT TESTED: {', '.join(absent)} not installed (scripts/setup test)", file=sys.stderr)
    return unittest.skipIf(absent, f"{absent} not installed")


class Case(unittest.TestCase):
    ini = {}

    def setUp(self):
        self.module = SITE.module(f"module-{self.id().rsplit('.', 1)[1]}", **self.ini)
        self.addCleanup(shutil.rmtree, self.module.folder, ignore_errors=True)
        self.addCleanup(self.module.close)
        self.module.start()
        self.module.wait_boot("normal")
        self.port = self.module.folder / "at"

    def run_program(self, *command, expect=0, **options):
        result = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=90, **options)
        self.assertEqual(result.returncode, expect, f"{command}\n{result.stdout}{result.stderr}{self.module.log()}")
        return result.stdout + result.stderr


@needs("chat")
class Chat(Case):
    """pppd's chat: a dialogue, and an exit code that tells how it ended: 0 good, 3 no answer in time, 4 the first ABORT string."""

    ini = {"urc_settle_ms": 1500}  # it opens the port some time after it has come back

    def chat(self, *script, expect=0):
        with open(self.port, "r+b", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NOCTTY)) as port:
            result = subprocess.run(["chat", "-v", "-s", "-S", "-t", "10", *script], stdin=port, stdout=port, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, expect, result.stderr)
        return result.stderr

    def test_identity(self):
        self.assertIn("Revision: v12", self.chat("ABORT", "ERROR", "", "ATI", "OK", "AT+QFOTADL=?", "OK"))
        self.chat("ABORT", "ERROR", "", "AT+NOSUCH", "OK", expect=4)
        self.chat("TIMEOUT", "1", "", "AT", "NEVER", expect=3)

    def test_an_upgrade_to_the_reboot_and_from_there_to_its_end(self):
        name = self.module.put(SITE.up)
        self.chat("ABORT", "ERROR", "", f'AT+QFOTADL="{name}"', "OK")
        self.module.wait_boot("recovery")
        wait_for(self.port.is_symlink, what="the port")
        self.chat('"FOTA","START"', "", '"FOTA","UPDATING",100', "", '"FOTA","END",0')
        self.module.wait_boot("v13, normal")
        wait_for(self.port.is_symlink, what="the port")
        self.assertIn("Revision: v13", self.chat("", "ATI", "OK"))


@needs("expect")
class Expect(Case):
    """An interactive host: patterns over the echo, captures, answers that come later."""

    SCRIPT = r"""
set timeout 20
log_user 0
spawn -noecho -open [open [lindex $argv 0] r+]
stty raw -echo < [lindex $argv 0]
proc want {pattern} {
    global expect_out
    expect {
        -re $pattern {}
        timeout { puts "no $pattern"; exit 3 }
        eof { puts "gone before $pattern"; exit 4 }
    }
}
send "AT\r"
want {AT\r\r\nOK\r\n}
send "ATI\r"
want {ATI\r\r\nQuectel\r\n([^\r]*)\r\nRevision: ([^\r]*)\r\n\r\nOK\r\n}
puts "model $expect_out(1,string) version $expect_out(2,string)"
send "ATE0\r"
want {ATE0\r\r\nOK\r\n}
send "AT+QFUPL=\"note.txt\",5,5\r"
want {^\r\nCONNECT\r\n}
send "hello"
want {^\r\n\+QFUPL: 5,([0-9a-f]+)\r\n\r\nOK\r\n}
puts "checksum $expect_out(1,string)"
send "AT+QFOPEN=\"note.txt\",2\r"
want {^\r\n\+QFOPEN: (\d+)\r\n\r\nOK\r\n}
set handle $expect_out(1,string)
send "AT+QFSEEK=$handle,3,2;+QFREAD=$handle\r"
want {^\r\nCONNECT 3\r\nllo\r\nOK\r\n}
send "AT+QFCLOSE=$handle;+QFDEL=\"note.txt\";+QFLST=\"note.txt\"\r"
want {^\r\n\+CME ERROR: 405\r\n}
send "AT+CFUN=4;+CREG?\r"
want {^\r\n\+CREG: 0,0\r\n\r\nOK\r\n}
exit 0
"""

    def test_a_session(self):
        script = SITE.folder / "session.exp"
        script.write_text(self.SCRIPT)
        said = self.run_program("expect", script, self.port)
        self.assertIn("model RG500Q-TEST version v12", said)
        self.assertIn("checksum 6b09", said)


# ---- ModemManager -----------------------------------------------------------------------------------

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>"""

# ModemManager asks PolicyKit before it does anything; on a bus of our own there is none.
POLKIT = """
import sys
from gi.repository import Gio, GLib
XML = '''<node><interface name="org.freedesktop.PolicyKit1.Authority"><method name="CheckAuthorization">
<arg type="(sa{sv})" direction="in"/><arg type="s" direction="in"/><arg type="a{ss}" direction="in"/><arg type="u" direction="in"/>
<arg type="s" direction="in"/><arg type="(bba{ss})" direction="out"/></method><property name="BackendName" type="s" access="read"/>
<property name="BackendVersion" type="s" access="read"/><property name="BackendFeatures" type="u" access="read"/></interface></node>'''
VALUES = {"BackendName": GLib.Variant("s", "yes"), "BackendVersion": GLib.Variant("s", "1"), "BackendFeatures": GLib.Variant("u", 0)}
def call(bus, sender, path, interface, method, arguments, invocation):
    invocation.return_value(GLib.Variant("((bba{ss}))", ((True, False, {}),)))
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
bus.register_object("/org/freedesktop/PolicyKit1/Authority", Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], call, lambda *a: VALUES[a[4]], None)
Gio.bus_own_name_on_connection(bus, "org.freedesktop.PolicyKit1", 0, lambda *a: print("ready", flush=True), None)
GLib.MainLoop().run()
"""


class Bridge(threading.Thread):
    """Between ModemManager's socket and the port; keeps what went each way."""

    def __init__(self, path, port):
        super().__init__(daemon=True)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(1)
        self.path, self.port, self.asked, self.answered = path, port, bytearray(), bytearray()

    def run(self):
        while True:
            peer = self.server.accept()[0]
            fd = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
            self.pump(peer, fd)
            os.close(fd)
            peer.close()

    def pump(self, peer, fd):
        while True:
            ready = select.select([peer, fd], [], [])[0]
            if peer in ready:
                data = peer.recv(4096)
                if not data:
                    return
                self.asked += data
                os.write(fd, data)
            if fd in ready:
                data = os.read(fd, 4096)
                self.answered += data
                peer.sendall(data)


def has_gi():
    return subprocess.run(["/usr/bin/python3", "-c", "from gi.repository import Gio"], capture_output=True).returncode == 0


@needs("ModemManager", "mmcli", "dbus-daemon")
class ModemManager(Case):
    ini = {"imei": "123456789012345"}

    def spawn(self, *command, **options):
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def setUp(self):
        super().setUp()
        if not has_gi():
            print("SKIPPED, NOT TESTED: python3-gi is not installed (scripts/setup test)", file=sys.stderr)
            self.skipTest("python3-gi is not installed")
        folder = SITE.folder / self.module.folder.name.replace("module", "mm")
        folder.mkdir()
        (folder / "bus.conf").write_text(BUS.format(folder / "bus"))
        self.bridge = Bridge(folder / "at.sock", self.port)
        self.bridge.start()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.spawn("dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", **quiet)
        wait_for((folder / "bus").exists, what="the bus")
        address = f"unix:path={folder}/bus"
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address, "DBUS_SESSION_BUS_ADDRESS": address}
        polkit = self.spawn("/usr/bin/python3", "-c", POLKIT, env=self.environment, stdout=subprocess.PIPE)
        self.addCleanup(polkit.stdout.close)
        self.assertEqual(polkit.stdout.readline(), b"ready\n")
        self.log = folder / "mm.log"
        self.spawn("ModemManager", "--test-session", "--test-enable", "--test-no-udev", "--test-no-suspend-resume", "--test-no-qrtr", "--no-auto-scan",
                   "--debug", f"--log-file={self.log}", env=self.environment, **quiet)
        wait_for(lambda: self.set_profile(folder / "at.sock"), what="ModemManager")

    def set_profile(self, path):
        result = subprocess.run(["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1",
                                 "org.freedesktop.ModemManager1.Test.SetProfile", "string:dfota", "string:quectel", f"array:string:{path}"],
                                env=self.environment, capture_output=True, timeout=30)
        return result.returncode == 0

    def mmcli(self, *arguments):
        return self.run_program("mmcli", *arguments, env=self.environment)

    def values(self):
        """mmcli's report of the modem, by its keys; empty as long as there is none."""
        result = subprocess.run(["mmcli", "-m", "any", "-K"], env=self.environment, capture_output=True, text=True, timeout=30)
        return dict(re.findall(r"^(\S+)\s*: (.*)$", result.stdout, re.M)) if result.returncode == 0 else {}

    def test_a_usable_modem_comes_up_and_is_enabled(self):
        wait_for(lambda: self.values().get("modem.generic.state") == "disabled", 60, "a modem in state disabled", pause=0.2)
        values = self.values()
        for key, value in {"plugin": "quectel", "manufacturer": "Quectel", "model": "RG500Q-TEST", "revision": "v12",
                           "equipment-identifier": "123456789012345", "power-state": "on"}.items():
            self.assertEqual(values.get(f"modem.generic.{key}"), value, key)
        self.mmcli("-m", "any", "-e")
        wait_for(lambda: self.values().get("modem.generic.state") == "registered", 60, "a registered modem", pause=0.2)
        wait_for(lambda: self.values().get("modem.3gpp.operator-code") == "00101", 30, "the operator", pause=0.2)
        self.assertIn("response: '+QFLDS: 0,0'", self.mmcli("-m", "any", "--command=AT+QFLDS"))
        name = self.module.put(SITE.up)
        self.assertIn("response: ''", self.mmcli("-m", "any", f'--command=AT+QFOTADL="{name}",0'))
        self.module.wait_log("the upgrade flag is set")
        for command in (b"AT+GCAP", b"AT+CGSN", b"AT+CPIN?", b"AT+CFUN?", b"AT+CREG?", b"AT+COPS?", b"AT+QFOTADL"):
            self.assertIn(command, self.bridge.asked)

    def test_an_upgrade_beside_it(self):
        """It lets go of the device for as long as it is upgraded, and finds the new version afterwards."""
        wait_for(lambda: self.values().get("modem.generic.state") == "disabled", 60, "a modem in state disabled", pause=0.2)
        device = self.values()["modem.generic.device"]
        result = subprocess.run([DFOTA, "upgrade", "--port", self.port, "--file", SITE.up, "--mm-device", device], env=self.environment,
                                capture_output=True, text=True, timeout=200)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertNotIn("let go", result.stderr)
        log = self.log.read_text(errors="replace")
        self.assertRegex(log, "inhibit")
        wait_for(lambda: self.set_profile(self.bridge.path), what="the profile again")
        wait_for(lambda: self.values().get("modem.generic.revision") == "v13", 60, "the modem with its new version", pause=0.2)

    def test_a_device_that_it_does_not_know_is_told_and_upgraded(self):
        result = subprocess.run([DFOTA, "upgrade", "--port", self.port, "--file", SITE.up, "--mm-device", "/no/such"], env=self.environment,
                                capture_output=True, text=True, timeout=200)
        self.assertIn("ModemManager does not let go", result.stderr)


# Knows one modem, at the port that it is given, and tells who asked for what.
MANAGER = """
import sys
from gi.repository import Gio, GLib
XML = '''<node><interface name="org.freedesktop.DBus.ObjectManager"><method name="GetManagedObjects"><arg type="a{oa{sa{sv}}}" direction="out"/></method>
</interface><interface name="org.freedesktop.ModemManager1"><method name="InhibitDevice"><arg type="s" direction="in"/><arg type="b" direction="in"/></method>
</interface></node>'''
def modem(ports, device):
    return {"org.freedesktop.DBus.Peer": {}, "org.freedesktop.ModemManager1.Modem": {"State": GLib.Variant("i", 3), "Ports": GLib.Variant("a(su)", ports),
            "Bearers": GLib.Variant("ao", []), "Device": GLib.Variant("s", device)}}
def call(bus, sender, path, interface, method, arguments, invocation):
    if method == "GetManagedObjects":
        root = "/org/freedesktop/ModemManager1/Modem/"
        objects = {root + "0": modem([("ttyUSB7", 3)], "/sys/other"), root + "1": modem([("wwan9", 2), (sys.argv[1], 3)], "/sys/right")}
        invocation.return_value(GLib.Variant("(a{oa{sa{sv}}})", (objects,)))
    else:
        print(*arguments.unpack(), flush=True)
        invocation.return_value(None)
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
for interface in Gio.DBusNodeInfo.new_for_xml(XML).interfaces:
    bus.register_object("/org/freedesktop/ModemManager1", interface, call, lambda *a: None, None)
Gio.bus_own_name_on_connection(bus, "org.freedesktop.ModemManager1", 0, lambda *a: print("ready", flush=True), None)
GLib.MainLoop().run()
"""


@needs("dbus-daemon")
class Inhibition(Case):
    """The device is found by its port, and held as long as the upgrade takes."""

    def test_found_by_its_port(self):
        if not has_gi():
            self.skipTest("python3-gi is not installed")
        folder = SITE.folder / self.module.folder.name.replace("module", "bus")
        folder.mkdir()
        (folder / "bus.conf").write_text(BUS.format(folder / "bus"))
        daemon = subprocess.Popen(["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork"], stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        wait_for((folder / "bus").exists, what="the bus")
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/bus"}
        name = os.path.realpath(self.port).removeprefix("/dev/")
        manager = subprocess.Popen(["/usr/bin/python3", "-c", MANAGER, name], env=environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(manager.stdout.close)
        self.addCleanup(manager.wait)
        self.addCleanup(manager.kill)
        self.assertEqual(manager.stdout.readline(), "ready\n")
        for words, code, asked in (((), 0, ["/sys/right True", "/sys/right False"]), (("--answer-timeout", "1", "--no-inhibit"), 0, [])):
            result = subprocess.run([DFOTA, "upgrade", "--port", self.port, "--file", SITE.up, *words], env=environment, capture_output=True,
                                    text=True, timeout=200)
            self.assertEqual(result.returncode, code, result.stdout + result.stderr)
            self.assertEqual([manager.stdout.readline().strip() for _ in asked], asked)


if __name__ == "__main__":
    unittest.main(verbosity=2)
