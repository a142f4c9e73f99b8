#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Downloads from real servers, with power cuts, over wires that break. Rows A5, A6.

usage: test_download.py FETCH
"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from downloads import DATA, HALF, OTHER, SIZE, Case  # noqa: E402
from servers import Cutter, Ftp, Nginx, Scripted, answer, free_port, make_certificate  # noqa: E402

Case.program = sys.argv.pop(1)


class Http(Case):
    """nginx."""

    def test_whole_file(self):
        with Nginx(self.www) as server:
            ended = self.whole(f"{server.url}/update.zip")
            self.assertEqual((ended["first"], ended["total"]), (0, SIZE))
            self.assertEqual([(row["range"], row["status"]) for row in server.requests()], [("-", "200")])

    def test_a_query_and_escapes_go_as_they_are(self):
        self.put(DATA, "a b%.zip")
        with Nginx(self.www) as server:
            self.whole(f"{server.url}/a%20b%25.zip?x=1/../2")

    def test_after_a_kill_the_next_run_continues(self):
        with Nginx(self.www) as server:
            self.killed(f"{server.url}/update.zip")
            durable = self.durable()
            self.assertGreaterEqual(durable, HALF // 2)
            ended = self.whole(f"{server.url}/update.zip")
            self.assertEqual((ended["first"], ended["falls"]), (durable, False))
            row = server.requests()[-1]
            self.assertEqual((row["range"], row["status"], int(row["bytes"])),
                             (f"bytes={durable}-", "206", SIZE - durable))
            self.assertRegex(row["if_range"], r'^".*"$|^\\x22.*\\x22$')

    def test_many_kills(self):
        with Nginx(self.www) as server:
            for at in range(100_000, SIZE, 300_000):
                self.killed(f"{server.url}/update.zip", at=at)
            self.whole(f"{server.url}/update.zip")
            self.assertEqual([row["status"] for row in server.requests()][-1], "206")

    def test_bytes_behind_the_durable_ones_are_not_trusted(self):
        with Nginx(self.www) as server:
            self.killed(f"{server.url}/update.zip")
            durable = self.durable()
            with open(self.part, "r+b") as part:
                part.seek(durable)
                part.write(b"\0" * 100_000)
            self.assertEqual(self.whole(f"{server.url}/update.zip")["first"], durable)

    def test_a_part_that_is_not_the_notes_is_not_trusted(self):
        damages = {
            "other contents": lambda: self.part.write_bytes(OTHER[:HALF]),
            "too short": lambda: os.truncate(self.part, self.durable() - 1),
            "gone": self.part.unlink,
            "no note": self.meta.unlink,
            "torn note": lambda: os.truncate(self.meta, self.meta.stat().st_size - 1),
            "note of another file": lambda: self.meta.write_text(self.meta.read_text().replace("update", "upgate")),
        }
        with Nginx(self.www) as server:
            for name, damage in damages.items():
                with self.subTest(name):
                    self.killed(f"{server.url}/update.zip")
                    damage()
                    self.assertEqual(self.whole(f"{server.url}/update.zip")["first"], 0)
                    self.assertEqual(server.requests()[-1]["range"], "-")
                    self.part.unlink()

    def test_the_file_changed_meanwhile(self):
        with Nginx(self.www) as server:
            self.killed(f"{server.url}/update.zip")
            self.put(OTHER, age_s=500)
            self.assertEqual(self.whole(f"{server.url}/update.zip", OTHER)["first"], 0)
            self.assertEqual([row["status"] for row in server.requests()][-1], "200")

    def test_by_date_where_there_is_no_etag(self):
        with Nginx(self.www, extra="etag off;") as server:
            self.killed(f"{server.url}/update.zip")
            durable = self.durable()
            self.assertEqual(self.whole(f"{server.url}/update.zip")["first"], durable)
            self.assertIn("GMT", server.requests()[-1]["if_range"])

    def test_a_server_that_cannot_continue(self):
        with Nginx(self.www, extra="max_ranges 0;") as server:
            self.killed(f"{server.url}/update.zip")
            self.assertEqual(self.whole(f"{server.url}/update.zip", tries=1)["first"], 0)
            self.assertEqual(server.requests()[-1]["status"], "200")

    def test_a_complete_part_is_proved_by_its_last_byte(self):
        with Nginx(self.www) as server:
            self.whole(f"{server.url}/update.zip")
            self.whole(f"{server.url}/update.zip")
            row = server.requests()[-1]
            self.assertEqual((row["range"], row["status"], row["bytes"]), (f"bytes={SIZE - 1}-", "206", "1"))
            self.put(OTHER, age_s=500)
            self.whole(f"{server.url}/update.zip", OTHER)

    def test_over_a_wire_that_breaks(self):
        """Rather more breaks than `tries`: each brought something."""
        with Nginx(self.www) as server, Cutter(server.port, [300_000] * 5) as wire:
            ended = self.whole(f"http://127.0.0.1:{wire.port}/update.zip", tries=1)
            self.assertFalse(ended["falls"])
            self.assertEqual(wire.connections, 6)
            starts = [int(row["range"][6:-1]) for row in server.requests()[1:]]
            self.assertEqual(starts, sorted(starts))
            self.assertGreater(starts[-1], 5 * 290_000)

    def test_a_file_without_bytes(self):
        self.put(b"")
        with Nginx(self.www) as server:
            self.whole(f"{server.url}/update.zip", b"")
            self.whole(f"{server.url}/update.zip", b"")

    def test_permanent_errors_end_at_once(self):
        extra = "".join(f"location /{code} {{ return {code}; }}" for code in (204, 300, 400, 401, 403, 410, 501, 505))
        with Nginx(self.www, extra=extra) as server:
            for path, word in (("none", "404"), ("401", "401"), ("403", "403"), ("410", "410"), ("400", "4xx"),
                               ("501", "501"), ("505", "505"), ("204", "fit"), ("300", "3xx")):
                with self.subTest(path):
                    before = len(server.requests())
                    self.assertIn(word, self.refused(f"{server.url}/{path}")["why"])
                    self.assertEqual(len(server.requests()), before + 1)

    def test_an_error_keeps_the_part(self):
        with Nginx(self.www, extra="location /busy { return 503; }") as server:
            self.killed(f"{server.url}/update.zip")
            durable = self.durable()
            moved = self.www / "away.zip"
            (self.www / "update.zip").rename(moved)
            self.refused(f"{server.url}/update.zip")
            moved.rename(self.www / "update.zip")
            self.assertEqual(self.whole(f"{server.url}/update.zip")["first"], durable)

    def test_nothing_of_the_environment(self):
        """No proxy, no .netrc, no log of TLS keys, no certificates beside those that were named."""
        (self.folder / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
        proxy = f"http://127.0.0.1:{free_port()}"
        log = self.folder / "keys"
        with Nginx(self.www, tls=True) as server, Nginx(self.www) as plain:
            environment = {"http_proxy": proxy, "https_proxy": proxy, "all_proxy": proxy, "HOME": str(self.folder),
                           "SSLKEYLOGFILE": str(log), "SSL_CERT_FILE": str(server.certificate),
                           "CURL_CA_BUNDLE": str(server.certificate)}
            self.whole(f"{plain.url}/update.zip", environment=environment)
            self.refused(f"{server.url}/update.zip", environment=environment)
            self.whole(f"{server.url}/update.zip", environment=environment, ca=server.certificate)
        self.assertFalse(log.exists())

    def test_no_password_from_netrc(self):
        (self.folder / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
        with Scripted(lambda *_: [answer("200 OK", DATA)]) as server:
            self.whole(f"{server.url}/x", environment={"HOME": str(self.folder)})
            self.assertNotIn("authorization", server.requests[0])


class Https(Case):
    def test_a_trusted_certificate(self):
        with Nginx(self.www, tls=True) as server:
            self.whole(f"{server.url}/update.zip", ca=server.certificate)

    def test_others_are_refused_at_once(self):
        foreign, _ = make_certificate(self.folder, "foreign")
        elsewhere = make_certificate(self.folder, "elsewhere", "DNS:example.org")
        expired = make_certificate(self.folder, "expired", expired=True)
        for name, tls, ca, word in (("not by this file", True, foreign, "not trusted"),
                                    ("not by the system", True, None, "not trusted"),
                                    ("other name", elsewhere, elsewhere[0], "not for this name"),
                                    ("expired", expired, expired[0], "expired"),
                                    ("no such file", True, self.folder / "none", "cannot be read")):
            with self.subTest(name), Nginx(self.www, tls=tls) as server, Cutter(server.port) as wire:
                why = self.refused(f"https://127.0.0.1:{wire.port}/update.zip", **({"ca": ca} if ca else {}))["why"]
                self.assertIn(word, why)
                self.assertLessEqual(wire.connections, 1)
                self.assertEqual(server.requests(), [])

    def test_kills_and_a_wire_that_breaks(self):
        with Nginx(self.www, tls=True) as server, Cutter(server.port, [600_000, None, 500_000]) as wire:
            url = f"https://127.0.0.1:{wire.port}/update.zip"
            self.killed(url, at=SIZE * 3 // 4, ca=server.certificate)
            durable = self.durable()
            self.assertEqual(self.whole(url, ca=server.certificate)["first"], durable)

    def test_plain_http_on_the_tls_port_and_the_other_way_round(self):
        with Nginx(self.www, tls=True) as secure, Nginx(self.www) as plain:
            self.refused(f"http://127.0.0.1:{secure.port}/update.zip")
            self.refused(f"https://127.0.0.1:{plain.port}/update.zip", tries=1, ca=secure.certificate)


class Redirects(Case):
    def test_followed_and_continued(self):
        with Nginx(self.www, extra="location /old { return 302 /update.zip; }") as server:
            self.killed(f"{server.url}/old")
            durable = self.durable()
            self.assertEqual(self.whole(f"{server.url}/old")["first"], durable)
            self.assertEqual([row["status"] for row in server.requests()][-2:], ["302", "206"])

    def test_the_body_of_a_redirect_is_not_the_file(self):
        def script(request, index):
            yield answer("200 OK", DATA) if index else answer("302 Found", OTHER, Location="/x", Connection="close")
        with Scripted(script) as server:
            self.whole(f"{server.url}/y")

    def test_to_https_but_not_back(self):
        with Nginx(self.www, tls=True) as secure:
            with Nginx(self.www, extra=f"location /up {{ return 301 {secure.url}/update.zip; }}") as plain:
                self.whole(f"{plain.url}/up", ca=secure.certificate)
                extra = f"location /down {{ return 301 {plain.url}/update.zip; }}"
                with Nginx(self.www, tls=secure.tls, extra=extra) as down:
                    self.refused(f"{down.url}/down", ca=secure.certificate)

    def test_refused(self):
        secret = self.folder / "secret"
        secret.write_bytes(DATA)
        with Ftp(self.www) as ftp:
            for name, target in (("file", f"file://{secret}"), ("ftp", f"{ftp.url}/update.zip"),
                                 ("gopher", "gopher://127.0.0.1/x"), ("round", "/round"), ("none", ""),
                                 ("odd", "http://127.0.0.1:99999/x")):
                with self.subTest(name), Scripted(lambda *_: [answer("302 Found", Location=target)]) as server:
                    ended = self.refused(f"{server.url}/{name}")
                    self.assertNotIn("secret", ended["why"])
                    self.assertLessEqual(len(server.requests), 6)
            self.assertEqual(ftp.commands, [])

    def test_not_to_where_a_password_is_given(self):
        def script(request, index):
            yield answer("200 OK", DATA) if index else answer(
                "302 Found", Location=f"http://me:secret@127.0.0.1:{server.port}/y", Connection="close")
        with Scripted(script) as server:
            self.assertNotIn("secret", self.refused(f"{server.url}/x")["why"])
            self.assertEqual(len(server.requests), 1)


class FtpServer(Case):
    """pyftpdlib."""

    def test_anonymous_and_with_a_password(self):
        for user, password in ((None, ""), ("me", "s3cret:x"), ("me", "")):
            with self.subTest(user=user, password=password), Ftp(self.www, user, password) as server:
                self.whole(f"{server.url}/update.zip")
                self.assertIn(("PASS", password), server.commands) if user else None
                self.assertTrue(server.arguments("EPSV") or server.arguments("PASV"))
                self.assertEqual(server.arguments("PORT") + server.arguments("EPRT"), [])
                self.assertNotIn("s3cret", self.meta.read_text())
                self.meta.unlink()

    def test_escapes_in_user_and_password(self):
        with Ftp(self.www, "a@b", "c/d:e%") as server:
            self.whole(f"ftp://a%40b:c%2Fd%3ae%25@127.0.0.1:{server.port}/update.zip")

    def test_folders_and_names(self):
        for name in ("a/b.zip", "x;type=a", "q?uery", "sp ace", "50%", "x;y/z;type=i"):
            with self.subTest(name), Ftp(self.www) as server:
                self.put(DATA, name)
                self.whole(f"{server.url}/{name.replace('%', '%25').replace(' ', '%20')}")
                self.assertEqual(set(server.arguments("TYPE")), {"I"})

    def test_permanent_errors_end_at_once(self):
        with Ftp(self.www, "me", "right") as server:
            for url, word in ((f"{server.url}/none", "does not have the file"), (f"{server.url}/no/ne", "folder"),
                              (f"ftp://me:wrong-one@127.0.0.1:{server.port}/update.zip", "password"),
                              (f"ftp://127.0.0.1:{server.port}/update.zip", "password")):
                with self.subTest(url):
                    before = len(server.arguments("USER"))
                    why = self.refused(url)["why"]
                    self.assertIn(word, why)
                    self.assertNotIn("wrong-one", why)
                    self.assertEqual(len(server.arguments("USER")), before + 1)

    def test_after_a_kill_the_next_run_continues(self):
        with Ftp(self.www, "me", "secret") as server:
            self.killed(f"{server.url}/update.zip")
            durable = self.durable()
            self.assertGreaterEqual(durable, HALF // 2)
            ended = self.whole(f"{server.url}/update.zip")
            self.assertEqual((ended["first"], server.arguments("REST")[-1]), (durable, str(durable)))

    def test_over_connections_that_break(self):
        with Ftp(self.www, cuts=[400_000] * 3) as server:
            ended = self.whole(f"{server.url}/update.zip", tries=1)
            self.assertFalse(ended["falls"])
            self.assertEqual([int(start) for start in server.arguments("REST")], [400_000, 800_000, 1_200_000])

    def test_the_file_changed_meanwhile(self):
        changes = {"time": (OTHER, 500), "size": (OTHER[:-1], 1000), "shorter than the part": (OTHER[:1000], 1000)}
        for name, (data, age_s) in changes.items():
            with self.subTest(name), Ftp(self.www) as server:
                self.put(DATA)
                self.killed(f"{server.url}/update.zip")
                self.put(data, age_s=age_s)
                self.whole(f"{server.url}/update.zip", data, tries=1)

    def test_a_complete_part_is_proved_by_its_last_byte(self):
        with Ftp(self.www) as server:
            self.whole(f"{server.url}/update.zip")
            self.whole(f"{server.url}/update.zip")
            self.assertEqual(server.arguments("REST"), [str(SIZE - 1)])
            self.put(OTHER, age_s=500)
            self.whole(f"{server.url}/update.zip", OTHER)

    def test_servers_that_know_less(self):
        for without in (["REST"], ["MDTM"], ["SIZE"], ["EPSV"], ["REST", "MDTM", "SIZE", "EPSV"]):
            with self.subTest(without=without), Ftp(self.www, without=without) as server:
                self.killed(f"{server.url}/update.zip")
                self.whole(f"{server.url}/update.zip", tries=1)
                if without != ["EPSV"]:
                    self.assertIn(len(server.arguments("RETR")), (2, 3))

    def test_too_large_before_a_byte_comes(self):
        with Ftp(self.www) as server:
            self.assertEqual(self.refused(f"{server.url}/update.zip", "E_TOO_LARGE", max=SIZE - 1)["done"], 0)
            self.removed()
            self.whole(f"{server.url}/update.zip", max=SIZE)

    def test_a_file_without_bytes(self):
        self.put(b"")
        with Ftp(self.www) as server:
            self.whole(f"{server.url}/update.zip", b"")


if __name__ == "__main__":
    unittest.main(verbosity=2)
