#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Downloads from servers that lie, fall silent, send too much; limits, tries and stopping.

usage: test_download_bad.py FETCH
"""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from downloads import DATA, HALF, OTHER, SIZE, Case  # noqa: E402
from servers import HOLD, Nginx, Scripted, answer, free_port  # noqa: E402

Case.program = sys.argv.pop(1)
OLD = "Tue, 01 Jul 2025 10:00:00 GMT"
NOW = "Tue, 01 Jul 2025 11:00:00 GMT"


def ranged(request):
    """First byte that a request asks for."""
    return int(request["range"][len("bytes="):-1]) if "range" in request else 0


class Liars(Case):
    """Servers that break their word: no wrong file, ever."""

    def honest(self, request, **fields):
        """An honest answer, with fields of it replaced."""
        start = ranged(request)
        if "range" not in request:
            return answer("200 OK", DATA, **{"ETag": '"1"', **fields})
        return answer("206 Partial Content", DATA[start:],
                      **{"ETag": '"1"', "Content_Range": f"bytes {start}-{SIZE - 1}/{SIZE}", **fields})

    def continued(self, lie, data=DATA, **options):
        """A part of DATA is there; lie(request, start) answers the first request for the rest; then the server is honest."""
        with Scripted(lambda request, _: [self.honest(request)]) as server:
            self.killed(f"{server.url}/x")
            note, part = self.meta.read_text(), self.part.read_bytes()
        told = []

        def script(request, index):
            if "range" in request and not told:
                told.append(index)
                yield lie(request, ranged(request))
            elif data is DATA:
                yield self.honest(request)
            else:
                yield answer("200 OK", data, ETag='"2"')

        with Scripted(script) as second:
            self.meta.write_text(note.replace(f":{server.port}/", f":{second.port}/"))
            self.part.write_bytes(part)
            ended = self.whole(f"{second.url}/x", data, **options)
            self.assertEqual(told, [0], "the part was not continued")
            return ended, second

    def test_honest_ones_are_continued(self):
        ended, server = self.continued(lambda request, start: self.honest(request))
        self.assertGreater(ended["first"], 0)
        self.assertEqual(server.requests[0]["if-range"], '"1"')
        self.assertEqual(server.requests[0]["accept-encoding"], "identity")

    def test_ranges_that_do_not_fit(self):
        body = {"ETag": '"1"'}
        wrong = {
            "one late": lambda s: (DATA[s + 1:], f"bytes {s + 1}-{SIZE - 1}/{SIZE}"),
            "one early": lambda s: (DATA[s - 1:], f"bytes {s - 1}-{SIZE - 1}/{SIZE}"),
            "from the beginning": lambda s: (DATA, f"bytes 0-{SIZE - 1}/{SIZE}"),
            "other total": lambda s: (DATA[s:], f"bytes {s}-{SIZE - 1}/{SIZE + 1}"),
            "past the total": lambda s: (DATA[s:] + b"x", f"bytes {s}-{SIZE}/{SIZE}"),
            "longer body": lambda s: (DATA[s:] + b"x", f"bytes {s}-{SIZE - 1}/{SIZE}"),
            "shorter body": lambda s: (DATA[s:-1], f"bytes {s}-{SIZE - 1}/{SIZE}"),
            "no total": lambda s: (DATA[s:], f"bytes {s}-{SIZE - 1}/*"),
            "backwards": lambda s: (DATA[s:], f"bytes {SIZE - 1}-{s}/{SIZE}"),
            "overflow": lambda s: (DATA[s:], f"bytes {s + 2 ** 64}-{SIZE - 1}/{SIZE}"),
            "nonsense": lambda s: (DATA[s:], "bytes all"),
            "none": lambda s: (DATA[s:], None),
        }
        for name, make in wrong.items():
            with self.subTest(name):
                def lie(_, start):
                    data, text = make(start)
                    return answer("206 Partial Content", data, Content_Range=text, **body)
                _, server = self.continued(lie, tries=1)
                self.assertNotIn("range", server.requests[1])

    def test_another_file_behind_the_part(self):
        """If-Range ignored: the tag alone tells."""
        for tag in ('"2"', None, 'W/"1"', '"1', "1"):
            with self.subTest(tag):
                self.continued(lambda request, start: answer(
                    "206 Partial Content", OTHER[start:], ETag=tag,
                    Content_Range=f"bytes {start}-{SIZE - 1}/{SIZE}"), OTHER, tries=1)

    def test_two_tags(self):
        self.continued(lambda request, start: answer(
            "206 Partial Content", OTHER[start:], ETag='"1"\r\nETag: "2"',
            Content_Range=f"bytes {start}-{SIZE - 1}/{SIZE}"), OTHER)

    def test_200_to_a_range(self):
        _, server = self.continued(lambda request, start: answer("200 OK", OTHER, ETag='"2"'), OTHER, tries=1)
        self.assertEqual(len(server.requests), 1)

    def test_chunks_beyond_the_range(self):
        def lie(_, start):
            body = DATA[start:] + b"more"
            return answer("206 Partial Content", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), Content_Length=None,
                          Transfer_Encoding="chunked", ETag='"1"', Content_Range=f"bytes {start}-{SIZE - 1}/{SIZE}")
        self.continued(lie, tries=1)

    def test_chunks_short_of_the_range(self):
        def lie(_, start):
            body = DATA[start:-5]
            return answer("206 Partial Content", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), Content_Length=None,
                          Transfer_Encoding="chunked", ETag='"1"', Content_Range=f"bytes {start}-{SIZE - 1}/{SIZE}")
        self.continued(lie, tries=1)

    def test_a_shorter_range_than_asked_for_is_used(self):
        def some(request, start):
            last = start + 99_999
            return answer("206 Partial Content", DATA[start:last + 1], ETag='"1"',
                          Content_Range=f"bytes {start}-{last}/{SIZE}")
        ended, server = self.continued(some, tries=1)
        self.assertFalse(ended["falls"])
        self.assertEqual(ranged(server.requests[1]), ended["first"] + 100_000)

    def test_416(self):
        """Without a proof the part is neither whole nor of use."""
        for fields in ({}, {"Content_Range": f"bytes */{SIZE}"}, {"Content_Range": "bytes */7", "ETag": '"1"'}):
            with self.subTest(fields):
                self.continued(lambda request, _: answer("416 Range Not Satisfiable", b"no", **fields), tries=1)

    def test_416_where_the_length_had_not_been_told(self):
        """The part is whole if tag and length of the 416 say so, and only then."""
        chunked = answer("200 OK", b"%x\r\n%s\r\n" % (SIZE, DATA), Content_Length=None, ETag='"1"',
                         Transfer_Encoding="chunked")
        for tag, total, requests in (('"1"', SIZE, 2), ('"2"', SIZE, 3), (None, SIZE, 3), ('"1"', SIZE + 1, 3)):
            with self.subTest(tag=tag, total=total):
                def script(request, index):
                    if "range" in request:
                        self.assertEqual(ranged(request), SIZE)
                        yield answer("416 Range Not Satisfiable", ETag=tag, Content_Range=f"bytes */{total}")
                    else:
                        yield chunked + (b"0\r\n\r\n" if index else b"")
                with Scripted(script) as server:
                    self.whole(f"{server.url}/x", tries=1)
                    self.assertEqual(len(server.requests), requests)

    def test_206_to_a_plain_request(self):
        with Scripted(lambda *_: [answer("206 Partial Content", DATA, ETag='"1"',
                                         Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}")]) as server:
            self.refused(f"{server.url}/x")
            self.assertEqual(len(server.requests), 1)

    def test_a_shorter_body_than_announced(self):
        with Scripted(lambda *_: [answer("200 OK", DATA, Content_Length=SIZE + 1)]) as server:
            self.refused(f"{server.url}/x", tries=1)

    def test_a_longer_body_than_announced_ends_where_it_should(self):
        with Scripted(lambda *_: [answer("200 OK", DATA + b"more", Content_Length=SIZE)]) as server:
            self.whole(f"{server.url}/x")

    def test_no_end_told(self):
        with Scripted(lambda *_: [answer("200 OK", DATA, Content_Length=None)]) as server:
            self.assertIn("ends", self.refused(f"{server.url}/x")["why"])

    def test_chunks(self):
        with Scripted(lambda *_: [answer("200 OK", b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, DATA), Content_Length=None,
                                         Transfer_Encoding="chunked")]) as server:
            self.assertEqual(self.whole(f"{server.url}/x")["total"], 0)

    def test_chunks_that_do_not_end(self):
        with Scripted(lambda *_: [answer("200 OK", b"%x\r\n%s\r\n" % (SIZE, DATA), Content_Length=None,
                                         Transfer_Encoding="chunked")]) as server:
            self.refused(f"{server.url}/x", tries=1)

    def test_another_coding(self):
        for name in ("gzip", "br", "x"):
            with Scripted(lambda *_: [answer("200 OK", DATA, Content_Encoding=name)]) as server:
                self.assertIn("coding", self.refused(f"{server.url}/x")["why"])

    def test_weak_proofs_are_none(self):
        """What the server calls weak, or what changed within the second of the answer, is not continued."""
        for fields in ({"ETag": 'W/"1"'}, {"Last_Modified": OLD}, {"Last_Modified": OLD, "Date": OLD},
                       {"Last_Modified": "yesterday", "Date": NOW}, {"ETag": '"' + "x" * 300 + '"'}, {}):
            with self.subTest(fields), Scripted(lambda *_: [answer("200 OK", DATA, **fields)]) as server:
                self.killed(f"{server.url}/x")
                self.whole(f"{server.url}/x")
                self.assertNotIn("range", server.requests[1])

    def test_not_http_at_all(self):
        for text in (b"hello\r\n" * 100, b"HTTP/1.1 abc\r\n\r\n", b"\0" * 5000, b"220 ready\r\n", b""):
            with self.subTest(text[:10]), Scripted(lambda *_: [text]) as server:
                self.refused(f"{server.url}/x", tries=1)

    def test_headers_without_end(self):
        with Scripted(lambda *_: [b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 1000 + b"\r\n"] * 1000]) as server:
            self.assertIn("headers", self.refused(f"{server.url}/x")["why"])

    def test_a_tag_that_would_break_the_note(self):
        for tag in ('"a\tb"', '"\xff"', '"a b"', '"' + "%s%n" * 20 + '"'):
            with self.subTest(tag), Scripted(lambda request, _: [self.honest(request, ETag=tag)]) as server:
                self.killed(f"{server.url}/x")
                self.whole(f"{server.url}/x")


class Limits(Case):
    def test_too_large_by_header(self):
        with Scripted(lambda *_: [answer("200 OK", b"", Content_Length=10 ** 15), HOLD]) as server:
            self.assertEqual(self.refused(f"{server.url}/x", "E_TOO_LARGE", max=1_000_000)["done"], 0)
            self.removed()

    def test_too_large_by_count(self):
        def endless(*_):
            yield answer("200 OK", Content_Length=None, Transfer_Encoding="chunked", ETag='"1"')
            while True:
                yield b"%x\r\n%s\r\n" % (50_000, DATA[:50_000])
        with Scripted(endless) as server:
            ended = self.refused(f"{server.url}/x", "E_TOO_LARGE", max=1_000_000)
            self.assertLessEqual(ended["done"], 1_000_000)
            self.removed()

    def test_too_large_by_range(self):
        """A part within the limit, and a limit that is lower the next time."""
        with Nginx(self.www) as server:
            self.killed(f"{server.url}/update.zip")
            self.refused(f"{server.url}/update.zip", "E_TOO_LARGE", max=self.durable() - 1)
            self.removed()

    def test_no_space_by_header(self):
        with Nginx(self.www) as server:
            self.assertEqual(self.refused(f"{server.url}/update.zip", "E_SPACE", keep_free=10 ** 18)["done"], 0)
            self.removed()

    def test_no_space_while_writing(self):
        """A file system of 1 MiB, with and without something that has to stay free."""
        mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                 'mount -t tmpfs -o size=1m none "$0" && exec "$@"', self.part.parent]
        if subprocess.run([*mount, "true"], capture_output=True, timeout=20).returncode:
            self.skipTest("file systems cannot be mounted here")

        def endless(*_):
            yield answer("200 OK", Content_Length=None, Transfer_Encoding="chunked")
            while True:
                yield b"%x\r\n%s\r\n" % (10_000, DATA[:10_000])
        with Scripted(endless) as server:
            done = self.refused(f"{server.url}/x", "E_SPACE", wrapper=mount)["done"]
            self.assertIn(done, range(900_000, 1_048_577))
            done = self.refused(f"{server.url}/x", "E_SPACE", wrapper=mount, keep_free=500_000)["done"]
            self.assertIn(done, range(400_000, 548_577))


class Tries(Case):
    def test_connections_that_bring_nothing_are_counted(self):
        with Scripted(lambda *_: []) as server:
            self.refused(f"{server.url}/x", tries=2)
            self.assertEqual(len(server.requests), 2)

    def test_a_busy_server_is_asked_again(self):
        def one(case, status):
            with Scripted(lambda _, index: [answer("200 OK", DATA) if index else answer(status, b"sorry")]) as server:
                case.whole(f"{server.url}/x", tries=2)
                case.assertEqual(len(server.requests), 2)
        self.together(one, ("503 Service Unavailable", "429 Too Many Requests", "500 Internal Server Error",
                            "408 Request Timeout", "502 Bad Gateway"))

    def test_a_server_that_drops_and_cannot_continue_is_left_in_the_end(self):
        """What came first is new; after that nothing new comes."""
        with Scripted(lambda *_: [answer("200 OK", DATA[:500_000], Content_Length=SIZE)]) as server:
            self.refused(f"{server.url}/x", tries=2)
            self.assertEqual(len(server.requests), 3)

    def test_a_file_that_changes_all_the_time_ends(self):
        with Scripted(lambda _, index: [answer("200 OK", DATA[:500_000], Content_Length=SIZE, ETag=f'"{index}"')]) as server:
            self.refused(f"{server.url}/x", tries=2)
            self.assertEqual(len(server.requests), 3)

    def test_no_server(self):
        self.assertIn("reached", self.refused(f"http://127.0.0.1:{free_port()}/x", tries=1)["why"])
        self.assertIn("reached", self.refused(f"ftp://127.0.0.1:{free_port()}/x", tries=1)["why"])

    def test_no_name(self):
        self.assertIn("resolved", self.refused("http://no-such-host.invalid/x", tries=1)["why"])

    def test_no_interface(self):
        with Nginx(self.www) as server:
            self.assertIn("interface", self.refused(f"{server.url}/update.zip", tries=1, interface="none0")["why"])
            self.whole(f"{server.url}/update.zip", tries=1, interface="127.0.0.1")

    def test_silence_is_a_drop(self):
        """Before the answer, after its headers, in the middle; then the rest comes over another connection."""
        def one(case, kept):
            head = answer("200 OK", ETag='"1"', Content_Length=SIZE)

            def script(request, index):
                start = ranged(request)
                if index == 0:
                    yield (head + DATA)[:len(head) if kept is None else kept]
                    yield HOLD
                elif start:
                    yield answer("206 P", DATA[start:], ETag='"1"', Content_Range=f"bytes {start}-{SIZE - 1}/{SIZE}")
                else:
                    yield answer("200 OK", DATA, ETag='"1"')
            with Scripted(script) as server:
                case.assertFalse(case.whole(f"{server.url}/x", stall=1, tries=2)["falls"])
                case.assertEqual(len(server.requests), 2)
        self.together(one, (0, 30, None, 200_000))

    def test_a_slow_server_is_not_silent(self):
        with Nginx(self.www, rate=1_000_000) as server:
            self.whole(f"{server.url}/update.zip", stall=1, tries=1)
            self.assertEqual(len(server.requests()), 1)


class Stop(Case):
    def stopped(self, url, **options):
        ended = self.refused(url, "E_STOPPED", **options)
        self.assertLess(ended["late_ms"], 1000)
        self.assertLess(ended["gap_ms"], 200)
        return ended

    def test_in_the_middle_and_continued(self):
        with Nginx(self.www, rate=1_000_000) as server:
            self.stopped(f"{server.url}/update.zip", stop_at=HALF)
            kept = self.durable()
            self.assertGreaterEqual(kept, HALF)
            self.assertEqual(self.whole(f"{server.url}/update.zip")["first"], kept)

    def test_while_a_server_is_silent(self):
        for pieces in ([], [b"HTTP/1.1 200 OK\r\n"], [answer("200 OK", DATA[:1000], Content_Length=SIZE)]):
            with Scripted(lambda *_: [*pieces, HOLD]) as server:
                self.stopped(f"{server.url}/x", stop_ms=300)

    def test_while_an_ftp_server_is_silent(self):
        with Scripted(lambda *_: []) as server:
            self.stopped(f"ftp://127.0.0.1:{server.port}/x", stop_ms=300)

    def test_while_a_name_is_looked_up(self):
        self.stopped("http://update.example/x", stop_ms=300, names="hang")
        why = self.refused("ftp://update.example/x", names="hang", connect=1, tries=1)["why"]
        self.assertIn("in time", why)

    def test_between_two_tries(self):
        with Scripted(lambda *_: []) as server:
            self.stopped(f"{server.url}/x", stop_ms=300, tries=10)


class Urls(Case):
    def test_a_bad_url_is_not_sent(self):
        for url in ("file:///etc/passwd", "http://me:secret@127.0.0.1/x", "gopher://127.0.0.1/x", "/etc/passwd"):
            self.assertEqual(self.run_fetch(url).returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
