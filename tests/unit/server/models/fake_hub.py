# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub on loopback, as much of one as huggingface_hub's own code asks for, with faults to order."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

REVISION = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """``files``: repository/path -> content. The faults name such a key."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.revision = REVISION
        self.requests: list[tuple[str, str, str]] = []  # method, key, Range header
        self.credentials: list[str] = []
        self.broken: dict[str, bytes] = {}  # content that is sent in place of the right one
        self.cut_once: dict[str, int] = {}  # the connection ends after so many bytes, the first time
        self.hold_at: dict[str, int] = {}  # so many bytes are sent, then nothing until ``release``
        self.plain_etags = False
        self.released = threading.Event()
        self.held = threading.Event()
        self.endpoint = ""

    def ranges(self, key: str) -> list[str]:
        """Range headers of the GET requests for a file."""
        return [header for method, name, header in self.requests if (method, name) == ("GET", key)]

    @contextmanager
    def running(self) -> Iterator[FakeHub]:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = False
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake hub"
        )
        thread.start()
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        repo, _, rest = unquote(self.path).lstrip("/").partition("/resolve/")
        revision, _, path = rest.partition("/")
        key, hub = f"{repo}/{path}", self.hub
        wanted_range = self.headers.get("Range") or ""
        hub.requests.append((self.command, key, wanted_range))
        if self.headers.get("Authorization"):
            hub.credentials.append(key)
        if key not in hub.files or revision not in (REVISION, "main"):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Connection", "close")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = hub.files[key]
        start = (
            int(wanted_range.removeprefix("bytes=").split("-")[0]) if wanted_range.startswith("bytes=") else 0
        )
        etag = hashlib.sha256(content).hexdigest()
        sent = hub.broken.get(key, content)[start:]
        self.send_response(206 if start else 200)
        self.send_header("Connection", "close")
        self.send_header("X-Repo-Commit", hub.revision)
        self.send_header("ETag", f'"{etag[:40] if hub.plain_etags else etag}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if body:
            self._send(key, sent)

    def _send(self, key: str, sent: bytes) -> None:
        hub = self.hub
        if key in hub.cut_once:
            sent = sent[: hub.cut_once.pop(key)]
            self.close_connection = True
        if key in hub.hold_at:
            count = hub.hold_at.pop(key)
            self.wfile.write(sent[:count])
            self.wfile.flush()
            hub.held.set()
            hub.released.wait(60)
            self.close_connection = True
            return
        self.wfile.write(sent)
        self.wfile.flush()
