#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every command of a real module by table, its open files, and whole conversations that must give the same bytes at any split.

usage: test_module_commands.py DFOTA DFOTAD
"""
import pathlib
import random
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, checksum  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)
SOURCES = pathlib.Path(__file__).parents[2]


class Case(unittest.TestCase):
    ini = {}

    def setUp(self):
        self.site = self.enter(Site(DFOTA, DFOTAD))
        self.site.plain()
        self.module = self.site.module(**self.ini)
        self.module.start()
        self.host = self.enter(self.module.host())
        self.host.greet()
        self.ok("ATE0")

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def ok(self, command, *lines):
        self.assertEqual(self.host.command(command), (list(lines), "OK"), command)

    def error(self, command, final="ERROR"):
        self.assertEqual(self.host.command(command), ([], final), command)

    def cme(self, command, code):
        self.error(command, f"+CME ERROR: {code}")

    def talk(self, data, end):
        """Sends bytes; returns what came up to and with `end`."""
        start = len(self.host.received)
        self.host.send(data)
        self.host.expect(re.escape(end) + b"$", 10, start)
        return bytes(self.host.received[start:])

    def open(self, name, mode=0):
        lines, final = self.host.command(f'AT+QFOPEN="{name}",{mode}')
        self.assertEqual(final, "OK")
        return int(re.fullmatch(r"\+QFOPEN: (\d+)", lines[0])[1])

    def write(self, handle, data, total):
        got = self.talk(f"AT+QFWRITE={handle},{len(data)}\r".encode() + data, b"OK\r\n")
        self.assertEqual(got, b"\r\nCONNECT\r\n\r\n+QFWRITE: %d,%d\r\n\r\nOK\r\n" % (len(data), total))

    def read(self, handle, data, length=""):
        got = self.talk(f"AT+QFREAD={handle}{length}\r".encode(), b"OK\r\n")
        self.assertEqual(got, b"\r\nCONNECT %d\r\n%b\r\nOK\r\n" % (len(data), data))


# command -> what each form answers: lines joined by |, None for OK alone, or an error. T test, R read, X execution, else the line itself.
E, BAD = "ERROR", "+CME ERROR: 400"
FORMS = {
    "+CGMI": {"T": None, "R": E, "X": "Quectel", "=1": E},
    "+GMI": {"T": None, "R": E, "X": "Quectel"},
    "+CGMM": {"T": None, "R": E, "X": "RM520N-GL"},
    "+GMM": {"T": None, "R": E, "X": "RM520N-GL"},
    "+CGMR": {"T": None, "R": E, "X": "v12"},
    "+GMR": {"T": None, "R": E, "X": "v12"},
    "+QGMR": {"T": None, "R": "v12", "X": "v12", "=1": E},
    "+CGSN": {"T": None, "R": E, "X": "123456789012345"},
    "+GSN": {"T": None, "R": E, "X": "123456789012345"},
    "+CIMI": {"T": None, "R": E, "X": "001019999999999"},
    "+QCCID": {"T": None, "R": E, "X": "+QCCID: 8944000000000000017"},
    "+ICCID": {"T": None, "R": E, "X": "+ICCID: 8944000000000000017"},
    "+CCID": {"T": None, "R": E, "X": "+CCID: 8944000000000000017"},
    "+IPR": {"T": None, "=115200": None, "R": E},
    "+GCAP": {"T": None, "X": "+GCAP: +CGSM", "R": E},
    "+CFUN": {"T": "+CFUN: (0,1,4),(0,1)", "R": "+CFUN: 1", "=2": E, "=1,2": E, "=1,0,0": E, '="1"': E, "X": E, "=1": None},
    "+CPIN": {"T": None, "R": "+CPIN: READY", '="1234"': E, "X": E},
    "+CSCS": {"T": '+CSCS: ("GSM","IRA")', "R": '+CSCS: "IRA"', '="UCS2"': E, '="GSM"': None, "=1": E, "X": E},
    "+QPOWD": {"T": "+QPOWD: (0,1)", "=2": E, "=0,0": E, "R": E},
    "+QURCCFG": {"T": '+QURCCFG: "urcport",("usbat","usbmodem","uart1","all")', '="urcport"': '+QURCCFG: "urcport","usbat"',
                 '="urcport","uart1"': None, '="urcport","uart2"': E, '="urcport",1': E, '="port"': E, "=1": E, "R": E, "X": E},
    "+QINDCFG": {"T": '+QINDCFG: "all",(0,1)', '="all"': '+QINDCFG: "all",1', '="all",0': None, '="all",2': E, '="fota",0': E, "R": E, "X": E},
    "+CREG": {"T": "+CREG: (0-2)", "R": "+CREG: 0,1", "=2": None, "=3": E, "=": None, "X": E},
    "+CGREG": {"T": "+CGREG: (0-2)", "R": "+CGREG: 0,1", "=1": None, "X": E},
    "+CEREG": {"T": "+CEREG: (0-2)", "R": "+CEREG: 0,1", "=1,2": E, "X": E},
    "+C5GREG": {"T": "+C5GREG: (0-2)", "R": "+C5GREG: 0,1", '="1"': E, "X": E},
    "+COPS": {"T": '+COPS: (2,"dfota","dfota","00101"),,(0,3),(0-2)', "R": '+COPS: 0,0,"dfota"', "X": E, "=0": None, "=1": E, "=4": E, "=": E,
              "=3,3": E, "=3,2": None},
    "+CSQ": {"T": "+CSQ: (0-31,99),(0-7,99)", "X": "+CSQ: 25,99", "R": E},
    "+QFOTADL": {"T": None, "R": E, "X": E, "=": E, "=1": E, '=""': E},
    "+QFLDS": {"T": None, "R": E, "X": "+QFLDS: 0,0", '="UFS"': "+QFLDS: 100000,100000", '="RAM"': BAD, "=1": BAD, '="UFS",1': BAD},
    "+QFLST": {"T": None, "R": E, "X": None, '="*"': None, '="x"': "+CME ERROR: 405", "=1": BAD, '="*",1': BAD},
    "+QFUPL": {"T": "+QFUPL: <filename>[,(1-100000)[,(1-65535)[,(0,1)]]]", "R": E, "X": E, "=": BAD, "=1": BAD, '="x",0': BAD, '="x",1,0': BAD,
               '="x",1,65536': BAD, '="x",1,1,2': BAD, '="x",1,1,1,1': BAD, '="x",100001': "+CME ERROR: 420", '="a/b",1': "+CME ERROR: 406"},
    "+QFDWL": {"T": "+QFDWL: <filename>", "R": E, "X": E, "=1": BAD, '="x"': "+CME ERROR: 405", '="x",1': BAD},
    "+QFDEL": {"T": "+QFDEL: <filename>", "R": E, "X": E, "=1": BAD, '="x"': "+CME ERROR: 405", '="*"': None, '="x",1': BAD},
    "+QFOPEN": {"T": "+QFOPEN: <filename>[,(0-3)]", "R": None, "X": E, "=1": BAD, '="x",4': BAD, '="x",0,0': BAD, '="x",2': "+CME ERROR: 405",
                '="../x"': "+CME ERROR: 406", '="RAM:x"': "+CME ERROR: 406"},
    "+QFREAD": {"T": "+QFREAD: <filehandle>[,<length>]", "R": E, "X": E, "=": BAD, '="1"': BAD, "=1": "+CME ERROR: 416", "=0": "+CME ERROR: 416",
                "=11": "+CME ERROR: 416", "=1,2,3": BAD},
    "+QFWRITE": {"T": "+QFWRITE: <filehandle>[,<length>[,<timeout>]]", "R": E, "X": E, "=": BAD, "=1": "+CME ERROR: 416", "=1,2,3,4": BAD},
    "+QFSEEK": {"T": "+QFSEEK: <filehandle>,<offset>[,<position>]", "R": E, "X": E, "=": BAD, "=1,0": "+CME ERROR: 416", "=1,2,0,4": BAD},
    "+QFPOSITION": {"T": "+QFPOSITION: <filehandle>", "R": E, "X": E, "=": BAD, "=1": "+CME ERROR: 416", "=1,2": BAD},
    "+QFTUCAT": {"T": "+QFTUCAT: <filehandle>", "R": E, "X": E, "=": BAD, "=1": "+CME ERROR: 416"},
    "+QFFLUSH": {"T": "+QFFLUSH: <filehandle>", "R": E, "X": E, "=": BAD, "=1": "+CME ERROR: 416"},
    "+QFCLOSE": {"T": "+QFCLOSE: <filehandle>", "R": E, "X": E, "=": BAD, "=1": "+CME ERROR: 416"},
    "+CGDCONT": {"R": '+CGDCONT: 1,"IP","","",0,0', "X": E, "=0": E, "=17": E, '=1,"PPP"': E, "=": E, '=1,"IP",5': E, "=2": None,
                 "T": "|".join(f'+CGDCONT: (1-16),"{kind}",,,(0),(0)' for kind in ("IP", "IPV6", "IPV4V6"))},
    "+CGACT": {"T": "+CGACT: (0,1)", "R": "+CGACT: 1,0", "X": E, "=2": E, "=1,2": E, "=": E},
    "+CGATT": {"T": "+CGATT: (0,1)", "R": "+CGATT: 1", "X": E, "=2": E, "=1": None},
}
BASIC = {"I": "Quectel|RM520N-GL|Revision: v12", "I0": "Quectel|RM520N-GL|Revision: v12", "I1": E, "X4": None, "H": None, "L1": None, "M1": None,
         "&C1": None, "&D2": None, "&K3": None, "&S0": None, "&W": None, "D1": E, "G": E, "V1": None, "Q0": None, "S3?": "013", "S4?": "010",
         "S5?": "008", "&F": None, "Z": None, " S7=45 S0=0 L1 V1 X4 &c1 E1 Q0": None, "E1": None}


class Table(Case):
    ini = {"model": "RM520N-GL", "imei": "123456789012345", "imsi": "001019999999999", "iccid": "8944000000000000017", "ufs_bytes": 100_000}

    def expect(self, line, want):
        with self.subTest(line=line):
            if want is not None and ("ERROR" in want):
                self.error(line, want)
            else:
                self.ok(line, *(want.split("|") if want else []))

    def test_all_forms_of_all_commands(self):
        for name, forms in FORMS.items():
            for form, want in forms.items():
                tail = {"T": "=?", "R": "?", "X": ""}.get(form, form)
                self.expect(f"AT{name}{tail}", want)
                if want is None or "ERROR" not in want:  # nor does case matter
                    self.expect(f"at{name.lower()}{tail}", want)

    def test_basic_commands(self):
        for command, want in BASIC.items():
            self.expect(f"AT{command}", want)

    def test_the_tables_know_each_command_of_the_module_and_so_does_the_reference(self):
        table = (SOURCES / "src/module/commands.c").read_text()
        names = re.findall(r'^\t\{ "([^"]+)", ', table, flags=re.M)
        self.assertGreater(len(names), 40)
        reference = (SOURCES / "docs/at-commands.md").read_text()
        for name in names:
            known = name in FORMS or any(re.match(re.escape(name) + r"\d*\??$", command) for command in BASIC)
            self.assertTrue(known, f"{name} is not in this test")
            self.assertRegex(reference, rf"`AT{re.escape(name)}(?![A-Z])", f"{name} is not in docs/at-commands.md")

    def test_functionality_takes_the_network_away_and_brings_it_back(self):
        self.ok("AT+CREG=1;+CEREG=2")
        start = len(self.host.received)
        self.ok("AT+CFUN=4")
        self.host.expect(rb"\r\n\+CREG: 0\r\n\r\n\+CEREG: 0\r\n", 5, start)
        self.ok("AT+CREG?", "+CREG: 1,0")
        self.ok("AT+CEREG?", "+CEREG: 2,0")
        self.ok("AT+CSQ", "+CSQ: 99,99")
        self.ok("AT+COPS?", "+COPS: 0")
        start = len(self.host.received)
        self.ok("AT+CFUN=1")
        self.host.expect(rb"\r\n\+CREG: 1\r\n\r\n\+CEREG: 1\r\n", 5, start)
        self.ok("AT+CREG?", "+CREG: 1,1")
        self.ok("AT+COPS=3,2;+COPS?", '+COPS: 0,2,"00101"')

    def test_settings_are_kept_till_the_next_boot(self):
        self.ok('AT+QURCCFG="urcport","all"')
        self.ok('AT+QURCCFG="urcport"', '+QURCCFG: "urcport","all"')
        self.ok('AT+QINDCFG="all",0')
        self.ok('AT+QINDCFG="all"', '+QINDCFG: "all",0')
        self.ok('AT+CSCS="GSM"')
        self.ok("AT+CSCS?", '+CSCS: "GSM"')


class Boot(Case):
    ini = {"boot_urcs": "RDY| +CFUN: 1 |+CPIN: READY||+QIND: SMS DONE"}

    def test_first_words_are_those_of_module_ini(self):
        # of the second boot, which the host sees from its first byte
        self.ok("AT+CFUN=1,1")
        self.host.wait_open(opens=2)
        self.host.expect(rb"\r\nRDY\r\n\r\n\+CFUN: 1\r\n\r\n\+CPIN: READY\r\n\r\n\+QIND: SMS DONE\r\n", 10)


class Handles(Case):
    ini = {"ufs_bytes": 100_000}

    def test_write_seek_read_cut_and_close(self):
        data = random.Random(11).randbytes(3000)
        handle = self.open("UFS:log.bin")
        self.ok("AT+QFOPEN?", f'+QFOPEN: "log.bin",{handle},0')
        self.write(handle, data, 3000)
        self.ok(f"AT+QFPOSITION={handle}", "+QFPOSITION: 3000")
        self.cme(f"AT+QFREAD={handle}", 402)
        self.ok(f"AT+QFSEEK={handle},0")
        self.read(handle, data)
        self.ok(f"AT+QFSEEK={handle},1000,2")
        self.read(handle, data[2000:2010], ",10")
        self.ok(f"AT+QFSEEK={handle},5,1")
        self.ok(f"AT+QFPOSITION={handle}", "+QFPOSITION: 2015")
        self.write(handle, b"+++AT\r", 3000)  # in the middle: the file grows no longer
        self.ok(f"AT+QFTUCAT={handle}")
        self.ok(f"AT+QFFLUSH={handle}")
        self.ok(f"AT+QFSEEK={handle},2000")
        self.read(handle, data[2000:2015] + b"+++AT\r", ",99999")
        self.ok(f"AT+QFCLOSE={handle}")
        self.cme(f"AT+QFPOSITION={handle}", 416)
        self.ok('AT+QFLST="log.bin"', '+QFLST: "UFS:log.bin",2021')
        self.assertEqual((self.module.folder / "ufs/log.bin").read_bytes(), data[:2015] + b"+++AT\r")

    def test_modes(self):
        self.host.upload(b"abc", "f")
        handle = self.open("f", 2)
        self.read(handle, b"abc")
        for command in (f"AT+QFWRITE={handle},1", f"AT+QFTUCAT={handle}"):
            self.cme(command, 414)
        self.ok(f"AT+QFCLOSE={handle}")
        handle = self.open("f", 3)
        self.read(handle, b"a", ",1")
        self.write(handle, b"def", 6)
        self.ok(f"AT+QFCLOSE={handle}")
        handle = self.open("f")
        self.read(handle, b"abcdef")
        self.ok(f"AT+QFCLOSE={handle}")
        handle = self.open("f", 1)
        self.cme(f"AT+QFREAD={handle}", 402)
        self.ok(f"AT+QFCLOSE={handle}")
        self.ok('AT+QFLST="f"', '+QFLST: "UFS:f",0')

    def test_bounds_of_a_position(self):
        handle = self.open("f")
        self.write(handle, b"0123456789", 10)
        for offset, origin in ((11, 0), (1, 1), (11, 2), (18446744073709551615, 0), (18446744073709551615, 1)):
            self.cme(f"AT+QFSEEK={handle},{offset},{origin}", 401)
        self.ok(f"AT+QFPOSITION={handle}", "+QFPOSITION: 10")
        self.ok(f"AT+QFSEEK={handle},10,2")
        self.ok(f"AT+QFSEEK={handle},10,1")
        for line in (f"AT+QFSEEK={handle}", f"AT+QFSEEK={handle},", f"AT+QFSEEK={handle},1,3", f"AT+QFREAD={handle},0", f"AT+QFWRITE={handle},0",
                     f"AT+QFWRITE={handle},1,0"):
            self.cme(line, 400)

    def test_number_of_open_files_is_bounded_and_each_is_open_once(self):
        handles = [self.open(f"f{i}") for i in range(10)]
        self.assertEqual(len(set(handles)), 10)
        self.cme('AT+QFOPEN="one more"', 413)
        self.cme('AT+QFOPEN="UFS:f3",2', 426)
        self.cme('AT+QFDEL="f3"', 426)
        self.ok(f"AT+QFCLOSE={handles[3]}")
        self.ok('AT+QFDEL="f3"')
        self.assertEqual(self.open("f3"), handles[3])
        self.ok("AT+CFUN=1,1")
        self.host.wait_open(opens=2)
        self.host.greet()
        self.ok("ATE0")
        self.ok("AT+QFOPEN?")
        self.ok('AT+QFDEL="*"')

    def test_space_is_bounded(self):
        handle = self.open("f")
        self.cme(f"AT+QFWRITE={handle},100001", 420)
        self.cme(f"AT+QFWRITE={handle},18446744073709551615", 420)
        data = random.Random(3).randbytes(100_000)
        self.write(handle, data, 100_000)
        self.cme(f"AT+QFWRITE={handle},1", 420)
        self.ok(f"AT+QFSEEK={handle},0")
        self.write(handle, b"again", 100_000)  # in its place
        self.ok(f"AT+QFSEEK={handle},0")
        self.read(handle, b"again" + data[5:])
        self.cme('AT+QFUPL="g",1', 420)

    def test_a_write_that_ends_early_tells_what_came(self):
        handle = self.open("f")
        self.assertEqual(self.talk(f"AT+QFWRITE={handle},100,1\rhello".encode(), b"OK\r\n"),
                         b"\r\nCONNECT\r\n\r\n+QFWRITE: 5,5\r\n\r\nOK\r\n")
        self.assertEqual(self.talk(f"AT+QFWRITE={handle},100,1\r".encode(), b"OK\r\n"),
                         b"\r\nCONNECT\r\n\r\n+QFWRITE: 0,5\r\n\r\nOK\r\n")

    def test_the_package_of_an_upgrade_cannot_be_written_to(self):
        """Its bytes in state/ are those in the store."""
        self.host.upload(b"package", "p")
        handle = self.open("p")
        self.error('AT+QFOTADL="UFS:p"')
        self.ok(f"AT+QFCLOSE={handle}")
        handle = self.open("p", 2)
        self.ok('AT+QFOTADL="UFS:p",0')  # the reboot is the host's
        self.module.wait_log("flag is set")
        self.assertEqual((self.module.folder / "ufs/p").stat().st_nlink, 2)
        self.read(handle, b"package")
        self.ok(f"AT+QFCLOSE={handle}")
        for mode in (0, 1, 3):
            self.cme(f'AT+QFOPEN="p",{mode}', 426)
        self.module.configure(urc_settle_ms=30000)
        self.ok("AT+CFUN=1,1")
        self.host.wait_open(opens=2)
        self.host.greet()
        self.ok("ATE0")
        for mode in (0, 1, 3):
            self.cme(f'AT+QFOPEN="p",{mode}', 426)
        self.read(self.open("p", 2), b"package")

    def test_links_and_folders_are_no_files(self):
        (self.module.folder / "ufs/link").symlink_to("../module.ini")
        (self.module.folder / "ufs/folder").mkdir()
        for name in ("link", "folder"):
            for mode in range(4):
                self.cme(f'AT+QFOPEN="{name}",{mode}', 410)


class Splits(Case):
    """A peer that sends all at once and one that sends byte for byte get the same bytes back."""

    def conversation(self):
        rng = random.Random(21)
        blob, part = rng.randbytes(2500), rng.randbytes(700)
        return b"".join([
            b"AT\r", b"ATI\r", b"at+cgmr;+qgmr?\r", b"AT+NOSUCH\r", b"AT+CMEE=2;+QFDEL=\"x\"\r", b"A/", b"AT+CMEE=1\r",
            b'AT+QFUPL="a",2500,5,1\r' + blob, b'AT+QFLST="a"\r', b'AT+QFDWL="a"\r',
            b'AT+QFOPEN="b"\r', b"AT+QFWRITE=1,700\r" + part, b"AT+QFSEEK=1,0\r", b"AT+QFREAD=1,50\r", b"AT+QFTUCAT=1\r", b"AT+QFPOSITION=1;+QFCLOSE=1\r",
            b'AT+QFDEL="*"\r', b'AT+QFOTADL="/cache/ufs/none"\r', b"AT+QFOTADL=?\r", b"ATV0\r", b"AT+CGMM\r", b"ATV1E1\r", b"AT+CREG?\r", b"ATE0\r",
            b"A" * 1500 + b"T" * 1500 + b"\r", b"AT+CGMR\bR\r", b"ATS5?\r"])

    def test_all_at_once_and_byte_by_byte(self):
        script, answers = self.conversation(), []
        for split in (len(script), 1, 7, 1000):
            start = len(self.host.received)
            for at in range(0, len(script), split):
                self.host.send(script[at:at + split])
            self.host.expect(rb"\r\n008\r\n\r\nOK\r\n$", 20, start)
            answers.append(bytes(self.host.received[start:]))
            self.assertEqual(answers[-1], answers[0], f"pieces of {split}")
        self.assertEqual(answers[0].count(b"+QFUPL: 2500,"), 1)


class Fwupd(Case):
    """Its dialogue with the whole module, byte for byte: commands end in CR LF, chunks of 2048 are padded, answers are counted."""
    ini = {"ufs_bytes": 8 << 20}

    def upload(self, data):
        size = len(data)
        self.assertEqual(self.talk(b"AT+QFLST=?\r\n", b"OK\r\n"), b"\r\nOK\r\n")
        self.assertEqual(self.talk(b'AT+QFLST="UFS:dfota_update.bin"\r\n', b": 405\r\n"), b"\r\n+CME ERROR: 405\r\n")
        self.assertEqual(self.talk(b'AT+QFUPL="dfota_update.bin",%d,5,1\r\n' % size, b"CONNECT\r\n"), b"\r\nCONNECT\r\n")
        result = b"\r\n+QFUPL: %d,%x\r\n\r\nOK\r\n" % (size, checksum(data))
        for at in range(0, size, 2048):
            chunk = data[at:at + 2048]
            want = b"A" * (len(chunk) // 1024) + (result if at + 2048 >= size else b"")
            start = len(self.host.received)
            self.host.send(chunk + b"\xff" * (2048 - len(chunk)))
            self.host.expect(re.escape(want), 10, start)
            self.assertEqual(bytes(self.host.received[start:]), want)
        listed = self.talk(b'AT+QFLST="UFS:dfota_update.bin"\r\n', b"OK\r\n")
        self.assertEqual(listed, b'\r\n+QFLST: "UFS:dfota_update.bin",%d\r\n\r\nOK\r\n' % size)
        self.assertLess(listed.index(b"\r\nOK"), 64)
        self.assertEqual((self.module.folder / "ufs/dfota_update.bin").read_bytes(), data)

    def test_packages_of_all_sizes(self):
        for size in (1, 1023, 1024, 1025, 2047, 2048, 2049, 5_000_000):
            with self.subTest(size=size):
                self.upload(random.Random(size).randbytes(size))
                self.assertEqual(self.talk(b'AT+QFDEL="dfota_update.bin"\r\n', b"OK\r\n"), b"\r\nOK\r\n")

    def test_the_start_is_answered_in_one_piece(self):
        self.upload(b"no package at all")
        self.assertEqual(self.talk(b'AT+QFOTADL="/data/ufs/dfota_update.bin"\r\n', b"\r\n"), b"\r\nOK\r\n")
        self.host.wait_open(opens=2)  # the port goes, and what is wrong with it is told after the reboot
        self.assertEqual(self.host.wait_fota("END"), 504)


if __name__ == "__main__":
    unittest.main(verbosity=2)
