#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each failure that module.ini can order, and how `dfota upgrade` ends with it: exit code, code of the module, and words that tell
what to do. Rows A8-A10, E1-E4.

usage: test_host_faults.py DFOTA DFOTAD
"""
import concurrent.futures
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Site, wait_for  # noqa: E402

DFOTAD = sys.argv.pop(2)
DFOTA = sys.argv.pop(1)
TIMES = ["--command-timeout", "2", "--upload-timeout", "3", "--news-timeout", "12", "--settle", "2"]
AT_A_TIME = 3
UP, SAME = "v13", "v12"

# fault, exit, code, version in the end, words of the message
LINE = [
    ("lose", 'RDY,9', 0, 0, UP, ["Upgraded"]),
    ("lose", '"START",9', 0, 0, UP, ["Upgraded"]),
    ("lose", 'UPDATING,999', 0, 0, UP, ["Upgraded"]),
    ("lose", '"END",9', 0, 0, UP, ["Upgraded"]),
    ("lose", 'FOTA,999', 0, 0, UP, ["Upgraded"]),
    ("lose", 'I,1', 0, 0, UP, ["Upgraded"]),  # ATI
    ("lose", 'I,99', 4, -1, "", ["not touched", "AT port"]),
    ("lose", '+QFDEL,1', 0, 0, UP, ["Upgraded"]),
    ("lose", '+QFLDS,1', 0, 0, UP, ["Upgraded"]),
    ("lose", 'ack,1,3', 0, 0, UP, ["Upgraded"]),
    ("lose", '+QFUPL,1', 0, 0, UP, ["Upgraded"]),
    ("lose", '+QFUPL,99', 4, -1, SAME, ["not touched", "AT port"]),
    ("lose", '+QFOTADL,1', 0, 0, UP, ["Upgraded"]),
    ("late", '+QFUPL,1,0,1500', 0, 0, UP, ["Upgraded"]),
    ("late", '"START",1,0,3000', 0, 0, UP, ["Upgraded"]),
    ("late", '+QFOTADL,1,0,2500', 0, 0, UP, ["Upgraded"]),
    ("garbage", 'FOTA,99,0,60', 0, 0, UP, ["Upgraded"]),
    ("garbage", 'I,3,0,256', 0, 0, UP, ["Upgraded"]),
    ("garbage", '+QFUPL,1,0,60', 0, 0, UP, ["Upgraded"]),
    ("garbage", 'ack,2,2,9', 0, 0, UP, ["Upgraded"]),
    ("drop", 'ack,1,2', 0, 0, UP, ["Upgraded"]),
    ("drop", '+QFUPL,1', 0, 0, UP, ["Upgraded"]),
    ("drop", '+QFUPL,9', 1, -1, SAME, ["went away", "not touched"]),
    ("drop", '+QFOTADL,1', 0, 0, UP, ["Upgraded"]),
    ("drop", '"START",1', 0, 0, UP, ["Upgraded"]),
    ("drop", 'UPDATING,2,1', 0, 0, UP, ["Upgraded"]),
    ("drop", '"END",1', 0, 0, UP, ["Upgraded"]),
]
ENDS = [
    ("end", '504,1', 1, 504, SAME, ["504", "as before; nothing was changed", "Build or fetch the package again"]),
    ("end", '505,1', 1, 505, SAME, ["505", "as before; nothing was changed", "from the version that runs"]),
    ("end", '510,1', 1, 510, SAME, ["510", "as before; nothing was changed", "full image"]),
    ("end", '511,1', 1, 511, SAME, ["511", "as before; nothing was changed", "Free space"]),
    ("end", '550,1', 1, 550, SAME, ["550", "as before; nothing was changed", "several steps"]),
    ("end", '502,4,30', 0, 0, UP, ["Upgraded"]),
    ("end", '502,5,30', 1, 502, None, ["502", "after several attempts", "same command again"]),
    ("end", '546,5', 1, 546, None, ["546", "same command again"]),
    ("end", '599,5', 1, 599, None, ["599", "same command again"]),
]
FLASH = [
    ("read", 'system,1', 0, 0, UP, ["Upgraded"]),
    ("read", 'system,99999', 1, 544, SAME, ["544", "same command again"]),
    ("write", 'boot,1,2', 0, 0, UP, ["Upgraded"]),
    ("write", 'boot,99999', 1, 522, None, ["522", "same command again"]),
    ("flush", 'modem,1', 0, 0, UP, ["Upgraded"]),
    ("flush", 'modem,99999', 1, 520, None, ["520", "same command again"]),
    ("resize", 'system,1', 0, 0, UP, ["Upgraded"]),
    ("resize", 'system,99999', 1, 530, None, ["530", "same command again"]),
]


def setUpModule():
    global SITE
    SITE = Site(DFOTA, DFOTAD).__enter__()
    SITE.synthetic()
    unittest.addModuleCleanup(SITE.__exit__, None, None, None)


class Faults(unittest.TestCase):
    def run_one(self, number, fault, order, source):
        module = SITE.module(f"{self.id().rsplit('.', 1)[1]}-{number}", **{f"fault_{fault}": order})
        try:
            module.start()
            wait_for((module.folder / "at").is_symlink, what="the port")
            result = subprocess.run([DFOTA, "upgrade", "--port", module.folder / "at", *source, *TIMES, "--json", "--expect-version", UP],
                                    capture_output=True, text=True, timeout=250)
            if result.returncode == 0:
                module.wait_boot("v13, normal")
                assert module.images() == SITE.expected("v13"), "other images"
            return result, module.log()
        finally:
            module.close()
            shutil.rmtree(module.folder, ignore_errors=True)

    def check(self, table, source=None):
        source = source or ["--file", SITE.up]
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            runs = [pool.submit(self.run_one, i, row[0], row[1], source) for i, row in enumerate(table)]
            for (fault, order, exit_, code, version, words), run in zip(table, runs):
                with self.subTest(f"{fault} = {order}"):
                    result, log = run.result()
                    last = json.loads(result.stdout.splitlines()[-1])
                    told = (last["exit"], last["code"], None if version is None else last["version"])
                    self.assertEqual(told, (exit_, code, version), f"{last}\n{log}")
                    self.assertEqual(result.returncode, exit_)
                    for word in words:
                        self.assertIn(word, last["text"])

    def test_line(self):
        self.check(LINE)

    def test_ends(self):
        self.check(ENDS)

    def test_flash(self):
        self.check(FLASH)

    def test_downloads(self):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=SITE.folder)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.check([("download", f"{code},1,{percent}", 1, code, SAME, [str(code), "as before; nothing was changed", "Check the server"])
                    for code, percent in ((701, 0), (701, 50), (703, 99))] +
                   [("lose", '"HTTPSTART",1', 0, 0, UP, ["Upgraded"]), ("lose", '"HTTPEND",1', 0, 0, UP, ["Upgraded"]),
                    ("drop", '"HTTPSTART",1', 0, 0, UP, ["Upgraded"]), ("drop", '"HTTPEND",1', 0, 0, UP, ["Upgraded"])],
                   ["--url", f"http://127.0.0.1:{server.server_port}/up.zip"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
