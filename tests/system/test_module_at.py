#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The AT port of a real module: framing, identity, the store's commands, data calls, noise. Rows A1-A11, D1-D3.

usage: test_module_at.py DFOTA DFOTAD
"""
import os
import pathlib
import random
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, checksum, wait_for  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)


class Case(unittest.TestCase):
    ini = {}

    def setUp(self):
        self.site = self.enter(Site(DFOTA, DFOTAD))
        self.site.plain()
        self.module = self.site.module(**self.ini)
        self.module.start()
        self.host = self.enter(self.module.host())
        self.host.greet()

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def ok(self, command, *lines):
        self.assertEqual(self.host.command(command), (list(lines), "OK"))

    def error(self, command, final="ERROR"):
        self.assertEqual(self.host.command(command), ([], final))

    def cme(self, command, code):
        self.error(command, f"+CME ERROR: {code}")


class Framing(Case):
    def test_identity_byte_by_byte(self):
        start = len(self.host.received)
        self.host.send(b"ATI\r")
        self.host.expect(rb"OK\r\n", 5, start)
        self.assertEqual(bytes(self.host.received[start:]),
                         b"ATI\r\r\nQuectel\r\nRG500Q-TEST\r\nRevision: v12\r\n\r\nOK\r\n")

    def test_a_response_comes_in_one_read(self):
        """fwupd takes one read() of 64 bytes."""
        self.ok("ATE0")
        start = len(self.host.received)
        self.host.send(b'AT+QFLST=?\r\n')
        self.host.expect(rb"\r\nOK\r\n", 5, start)
        self.assertEqual(bytes(self.host.received[start:]), b"\r\nOK\r\n")

    def test_echo_off_and_on(self):
        self.ok("ATE0")
        start = len(self.host.received)
        self.host.command("AT")
        self.assertEqual(bytes(self.host.received[start:]), b"\r\nOK\r\n")
        self.host.send(b"ATE1\r")
        self.host.expect(rb"OK\r\n$", 5, start + 6)
        start = len(self.host.received)
        self.host.command("AT")
        self.assertEqual(bytes(self.host.received[start:]), b"AT\r\r\nOK\r\n")

    def test_lower_case_and_joined_commands(self):
        self.ok("at")
        self.ok("at+cgmr", "v12")
        self.ok("ATE1;+CGMR;+CGMM", "v12", "RG500Q-TEST")

    def test_byte_by_byte(self):
        start = len(self.host.received)
        for byte in b"AT+CGMR\r":
            self.host.send(bytes([byte]))
            time.sleep(0.002)  # as a slow line does
        self.host.expect(rb"\r\nv12\r\n\r\nOK\r\n", 5, start)

    def test_a_burst_of_lines_is_answered_to_the_last(self):
        self.ok("ATE0")
        for burst in (b"AT\r" * 1300, b"AT\r" * 100 + b"ATI\r" * 900):
            start = len(self.host.received)
            self.host.send(burst)
            wait_for(lambda: bytes(self.host.received[start:]).count(b"\r\nOK\r\n") >= burst.count(b"\r"),
                     what="all answers")

    def test_unknown_commands(self):
        for command in ("AT+NOSUCH", "AT+QFASTBOOT=?", "AT!", "ATI9", "AT+QFOTADL", "AT+QFOTADL?"):
            self.error(command)

    def test_first_words_after_boot(self):
        self.host.expect(rb"^\r\nRDY\r\n", 5)


class Identity(Case):
    ini = {"model": "RM520N-GL", "imei": "123456789012345"}

    def test_all_forms(self):
        self.ok("ATI", "Quectel", "RM520N-GL", "Revision: v12")
        for command, line in (("+CGMI", "Quectel"), ("+GMI", "Quectel"), ("+CGMM", "RM520N-GL"), ("+GMM", "RM520N-GL"),
                              ("+CGMR", "v12"), ("+GMR", "v12"), ("+QGMR", "v12"), ("+QGMR?", "v12"),
                              ("+CGSN", "123456789012345"), ("+GSN", "123456789012345"), ("+GCAP", "+GCAP: +CGSM"),
                              ("+CFUN?", "+CFUN: 1"), ("+CPIN?", "+CPIN: READY"), ("+CGATT?", "+CGATT: 1")):
            self.ok(f"AT{command}", line)
        for command in ("+CGMI", "+CGMM", "+CGMR", "+QGMR", "+CGSN", "+CIMI", "+QFOTADL", "+QFLDS", "+QFLST"):
            self.ok(f"AT{command}=?")
        self.ok("ATX4")
        self.ok("AT&C1")


class Files(Case):
    ini = {"ufs_bytes": 100_000}

    def test_upload_list_download_delete(self):
        data = random.Random(1).randbytes(10_001)
        self.ok("AT+QFLDS", "+QFLDS: 0,0")
        self.assertEqual(self.host.upload(data, "UFS:a.bin"), (10_001, checksum(data), 9))
        self.ok("AT+QFLDS", "+QFLDS: 10001,1")
        self.ok('AT+QFLDS="UFS"', "+QFLDS: 89999,100000")
        for pattern in ("*", "UFS:*", "a.bin", "UFS:a.bin", "*.bin", "UFS"):
            self.ok(f'AT+QFLST="{pattern}"', '+QFLST: "UFS:a.bin",10001')
        self.ok("AT+QFLST", '+QFLST: "UFS:a.bin",10001')
        self.ok('AT+QFLST="*.zip"')
        start = len(self.host.received)
        self.host.send(b'AT+QFDWL="a.bin"\r')
        match = self.host.expect(rb"CONNECT\r\n(.*)\r\n\+QFDWL: 10001,([0-9a-f]+)\r\n\r\nOK\r\n", 10, start)
        self.assertEqual((match.group(1), int(match.group(2), 16)), (data, checksum(data)))
        self.ok('AT+QFDEL="UFS:a.bin"')
        self.cme('AT+QFLST="a.bin"', 405)

    def test_upload_without_acknowledgement_and_in_pieces(self):
        data = random.Random(2).randbytes(4096)
        self.assertEqual(self.host.upload(data, "b", ack=False), (4096, checksum(data), 0))
        self.assertEqual((self.module.folder / "ufs/b").read_bytes(), data)

    def test_time_out_keeps_what_came(self):
        self.assertEqual(self.host.upload(b"hello", "c", size=100, timeout=1), (5, checksum(b"hello"), 0))
        self.assertEqual((self.module.folder / "ufs/c").read_bytes(), b"hello")

    def test_time_out_with_nothing_leaves_no_file(self):
        self.assertEqual(self.host.upload(b"", "n", size=100, timeout=1), (0, 0, 0))
        self.cme('AT+QFLST="n"', 405)

    def test_padding_of_a_known_host_is_swallowed(self):
        data = random.Random(3).randbytes(10_117)
        padded = data + b"\xff" * (-len(data) % 2048)
        self.assertEqual(self.host.upload(padded, "p", size=len(data)), (len(data), checksum(data), 9))
        self.ok('AT+QFLST="p"', '+QFLST: "UFS:p",10117')
        self.assertEqual((self.module.folder / "ufs/p").read_bytes(), data)

    def test_test_forms(self):
        self.ok("AT+QFUPL=?", "+QFUPL: <filename>[,(1-100000)[,(1-65535)[,(0,1)]]]")
        self.ok("AT+QFDWL=?", "+QFDWL: <filename>")
        self.ok("AT+QFDEL=?", "+QFDEL: <filename>")

    def test_refusals(self):
        self.cme('AT+QFUPL="big",100001', 420)
        self.cme('AT+QFUPL="x",0', 400)
        self.cme('AT+QFUPL="x",1,0', 400)
        self.cme('AT+QFUPL="x",1,5,2', 400)
        self.cme('AT+QFDEL="none"', 405)
        self.cme('AT+QFDWL="none"', 405)
        for name in ("../module.ini", "/etc/passwd", "..", ".lock", "a/b", "RAM:a", "", "x" * 81):
            self.cme(f'AT+QFUPL="{name}",10', 406)
            self.cme(f'AT+QFDWL="{name}"', 406)
            self.cme(f'AT+QFDEL="{name}"', 406)
        self.host.upload(b"1", "one")
        self.cme('AT+QFUPL="one",1', 407)
        self.host.upload(b"1", "x" * 80)
        self.ok('AT+QFDEL="*"')
        self.ok("AT+QFLST")

    def test_number_of_files_is_bounded(self):
        for i in range(128):
            (self.module.folder / f"ufs/{i:077}.ab").write_bytes(b"x")
        self.cme('AT+QFUPL="one",1', 420)
        lines, final = self.host.command("AT+QFLST")
        self.assertEqual((len(lines), final), (128, "OK"))

    def test_codes_follow_cmee(self):
        self.ok("AT+CMEE=1")
        self.cme('AT+QFDEL="none"', 405)
        self.ok("AT+CMEE=2")
        _, final = self.host.command('AT+QFDEL="none"')
        self.assertRegex(final, r"\+CME ERROR: [a-z ]*not found")
        self.ok("AT+CMEE=0")
        self.cme('AT+QFDEL="none"', 405)


class Request(Case):
    def test_wrong_requests_are_errors_at_once(self):
        wrong = ["ftp://", "http:///x", "http://h", "http://h/", "gopher://h/x", "http://h:0/x", "http://h:65536/x", "http://h:/x",
                 "http://h:8a/x", "http://h/a b", "http://u:p@h/x", "http://h/../x", "/cache/ufs/none", "cache/ufs/none",
                 "UFS:none", "/cache/ufs/../module.ini", "/etc/passwd", "", "http://h/" + "x" * 504]
        for url in wrong:
            with self.subTest(url=url):
                began = time.monotonic()
                self.error(f'AT+QFOTADL="{url}"')
                self.assertLess(time.monotonic() - began, 0.3)
        self.error("AT+QFOTADL=5")
        self.error('AT+QFOTADL="http://h/x",2')
        self.error('AT+QFOTADL="http://h/x",1,0')
        self.error('AT+QFOTADL="http://h/x",1,10,1')
        start = len(self.host.received)
        self.host.send(b'AT+QFOTADL="http://h/\x01x"\r')
        self.host.expect(rb"\r\nERROR\r\n", 5, start)
        self.ok("AT+QFOTADL=?")

    def test_longest_url_is_taken(self):
        url = "http://127.0.0.1:1/" + "x" * (512 - 19)
        self.ok(f'AT+QFOTADL="{url}"')
        self.host.wait_fota("HTTPSTART")
        self.assertEqual(self.host.wait_fota("HTTPEND"), 701)
        self.ok("AT")

    def test_second_request_while_one_waits(self):
        self.ok("AT+CGACT=1,1")
        self.ok('AT+QFOTADL="http://127.0.0.1:1/x"')
        self.error('AT+QFOTADL="http://127.0.0.1:1/x"')


class DataCall(Case):
    def test_download_waits_for_the_hosts_data_call(self):
        self.ok("AT+CGDCONT=?", *self.host.command("AT+CGDCONT=?")[0])
        self.ok("AT+CGDCONT?", '+CGDCONT: 1,"IP","","",0,0')
        self.ok("AT+CGACT=1,1")
        self.ok("AT+CGACT?", "+CGACT: 1,1")
        self.ok('AT+QFOTADL="http://127.0.0.1:1/x"')
        self.module.wait_log("download: waits")
        self.ok("AT+CGMR", "v12")
        self.assertEqual(self.host.fota(), [])
        self.ok("AT+CGACT=0,1")
        self.assertEqual(self.host.wait_fota("HTTPEND"), 701)
        self.assertEqual([urc[0] for urc in self.host.fota()], ["HTTPSTART", "HTTPEND"])

    def test_contexts_are_durable_and_calls_are_not(self):
        self.ok('AT+CGDCONT=2,"IPV4V6","fota"')
        self.ok("AT+CGACT=1,2")
        self.error("AT+CGACT=1,3")
        self.ok("AT+CFUN=1,1")
        self.host.wait_open(opens=2)
        self.host.greet()
        self.ok("AT+CGDCONT?", '+CGDCONT: 1,"IP","","",0,0', '+CGDCONT: 2,"IPV4V6","fota","",0,0')
        self.ok("AT+CGACT?", "+CGACT: 1,0", "+CGACT: 2,0")
        self.ok("AT+CGDCONT=2")
        self.ok("AT+CGDCONT?", '+CGDCONT: 1,"IP","","",0,0')


class OtherContext(Case):
    ini = {"context": 2}

    def test_another_apn_is_free_of_the_hosts_call(self):
        self.ok("AT+CGACT=1,1")
        self.ok('AT+CGDCONT=2,"IP","fota"')
        self.ok('AT+QFOTADL="http://127.0.0.1:1/x"')
        self.assertEqual(self.host.wait_fota("HTTPEND"), 701)

    def test_an_undefined_context_fails_the_download(self):
        self.ok('AT+QFOTADL="ftp://127.0.0.1:1/x"')
        self.host.wait_fota("FTPSTART")
        self.assertEqual(self.host.wait_fota("FTPEND"), 601)


class Commands(Case):
    def setUp(self):
        super().setUp()
        self.mark = self.site.folder / "mark"

    def restart(self, **ini):
        self.assertEqual(self.module.term(), 0)
        self.module.configure(**ini)
        self.module.start()
        self.host.wait_open(opens=2)
        self.host.greet()

    def test_programs_bring_the_call_up_and_down(self):
        self.restart(data_call="command", data_call_up=f"/usr/bin/touch {self.mark}.up", data_call_down=f"/usr/bin/touch {self.mark}.down;x")
        self.ok('AT+QFOTADL="http://127.0.0.1:1/x"')
        self.assertEqual(self.host.wait_fota("HTTPEND"), 701)
        self.assertTrue((self.site.folder / "mark.up").exists())
        self.assertTrue((self.site.folder / "mark.down;x").exists())  # no shell reads the line

    def test_a_failing_program_fails_the_download(self):
        self.restart(data_call="command", data_call_up="/bin/false")
        self.ok('AT+QFOTADL="http://127.0.0.1:1/x"')
        self.assertEqual(self.host.wait_fota("HTTPEND"), 701)
        self.ok("AT")


class Life(Case):
    def test_reboot_brings_a_new_port(self):
        link = self.module.folder / "at"
        self.ok("AT+CFUN=1,1")
        wait_for(lambda: not link.is_symlink(), 10, "the port going away")
        self.host.wait_open(opens=2)
        self.host.greet()
        self.assertTrue(self.module.running())
        self.ok("ATI", "Quectel", "RG500Q-TEST", "Revision: v12")

    def test_term_ends_cleanly(self):
        self.assertEqual(self.module.term(), 0)
        self.assertFalse((self.module.folder / "at").is_symlink())

    def test_power_down(self):
        self.ok("AT+QPOWD")
        self.host.expect(rb"\r\nPOWERED DOWN\r\n", 5)
        self.assertEqual(self.module.process.wait(10), 0)

    def test_one_process_a_module(self):
        second = self.site.adopt(self.module.folder)
        second.start()
        self.assertEqual(second.process.wait(10), 1)
        self.assertIn("another dfotad", second.log())
        self.ok("AT")

    def test_host_hangs_up_and_another_comes(self):
        self.host.__exit__()
        with self.module.host() as other:
            self.assertEqual(other.greet()[1], "OK")

    def test_unread_output_does_not_stop_the_module(self):
        self.host.__exit__()
        # Never as this test's own terminal: its hang-up would end the test.
        with open(os.open(self.module.folder / "at", os.O_RDWR | os.O_NOCTTY), "wb", buffering=0) as port:
            for _ in range(200):
                port.write(b"ATI\r")  # nobody reads the answers
        self.assertEqual(self.module.term(), 0)

    def test_cut_in_an_upload_leaves_no_file(self):
        self.host.command('AT+QFUPL="cut",5000,60,1')
        start = len(self.host.received)
        self.host.send(b"x" * 3000)
        self.host.expect(rb"AA$", 5, start)
        self.module.kill()
        self.module.start()
        self.host.wait_open(opens=2)
        self.host.greet()
        self.ok("AT+QFLST")
        self.assertEqual(list((self.module.folder / "ufs").iterdir()), [])


class Hostile(Case):
    def test_over_long_line_is_one_error_and_nothing_of_it_is_executed(self):
        start = len(self.host.received)
        self.host.send(b"AT+CFUN=1,1;+X" + b"y" * 3000 + b"\r")
        self.host.expect(rb"\r\nERROR\r\n", 5, start)
        self.ok("AT+CGMR", "v12")
        self.assertEqual(self.host.opens, 1)

    def test_noise(self):
        rng = random.Random(5)
        for _ in range(60):
            noise = bytes(byte for byte in rng.randbytes(700) if byte not in b"aA")
            self.host.send(noise)
        self.host.send(b"\r")
        self.host.greet()
        self.ok("AT+CGMR", "v12")

    def test_no_crash_by_mutated_commands(self):
        rng = random.Random(6)
        seeds = [b'AT+QFUPL="n",10,1,1', b'AT+QFOTADL="/cache/ufs/x"', b'AT+CGDCONT=1,"IP","a"', b'AT+QFLST="*"', b"ATI", b"AT+CMEE=2",
                 b'AT+QFDEL="x"', b"AT+CGACT=0,1"]
        for _ in range(400):
            line = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(1, 4)):
                line[rng.randrange(len(line))] = rng.randrange(32, 127)
            if b"CFUN" in line or b"POWD" in line:
                continue
            self.host.send(bytes(line) + b"\r")
        self.host.greet()
        wait_for(lambda: self.host.command("AT+CGMR")[1] == "OK", 30)
        self.assertTrue(self.module.running())

    def test_answers_stay_quick_while_a_download_hangs(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(4)
            self.ok(f'AT+QFOTADL="http://127.0.0.1:{server.getsockname()[1]}/x"')
            self.host.wait_fota("HTTPSTART")
            for command in ("AT+QFOTADL=?", "ATI", "AT+QFLST") * 10:
                began = time.monotonic()
                self.assertEqual(self.host.command(command)[1], "OK")
                self.assertLess(time.monotonic() - began, 0.3)
            began = time.monotonic()
            self.error('AT+QFOTADL="http://127.0.0.1:1/x"')
            self.assertLess(time.monotonic() - began, 0.3)
            self.assertEqual(self.module.term(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
