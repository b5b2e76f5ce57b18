"""A server that answers as the Hugging Face hub does, for children that are pointed at it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class Request(NamedTuple):
    method: str
    path: str  # without the query
    range: str | None
    n_bytes: int  # of the body that was sent


class FakeHub:
    """Repositories of folders: for each a history of commits, and names for some of them."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.refs: dict[str, dict[str, str]] = {}
        self.gated: set[str] = set()
        self.cut: dict[str, int] = {}  # file -> bytes after which a connection breaks, once
        self.broken: set[str] = set()  # files that can't be had for now
        self.down = False
        self.log: list[Request] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def push(self, repo: str, folder: Path, *names: str) -> str:
        """Commit the files of a folder under these branches, main by default; return the commit."""
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        content = repr(sorted((n, hashlib.sha1(d).hexdigest()) for n, d in files.items()))
        commit = hashlib.sha1(content.encode()).hexdigest()
        self.repos.setdefault(repo, {})[commit] = files
        for name in names or ("main",):
            self.refs.setdefault(repo, {})[name] = commit
        return commit

    def fetched(self) -> list[str]:
        """The files that were asked for with GET, and clear the log."""
        found = [unquote(r.path.split("/resolve/")[1].split("/", 1)[1])
                 for r in self.log if r.method == "GET" and "/resolve/" in r.path]  # fmt: skip
        self.log.clear()
        return found


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?/?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = api or file
        if self.hub.down or match is None:
            return self._send(503 if self.hub.down else 404, b"")
        repo, name = match[1], unquote(match[3 if api else 2] or "main")
        if repo not in self.hub.repos:
            return self._fail(404, "RepoNotFound", "Repository not found")
        if repo in self.hub.gated:
            return self._fail(403, "GatedRepo", "Access to this model is restricted")
        commit = self.hub.refs[repo].get(name, name)
        if commit not in self.hub.repos[repo]:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {name}")
        files = self.hub.repos[repo][commit]
        if file:
            return self._file(unquote(file[3]), commit, files)
        if api[2] == "tree":
            value: Any = [
                {"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                for n, d in sorted(files.items())
            ]
        else:
            siblings = [{"rfilename": n} for n in sorted(files)]
            value = {"id": repo, "modelId": repo, "sha": commit, "siblings": siblings,
                     "private": False, "tags": [], "downloads": 0, "likes": 0}  # fmt: skip
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, commit: str, files: dict[str, bytes]) -> None:
        if name not in files:
            return self._fail(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        data = files[name]
        etag = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        status, part = 200, self.headers.get("Range")
        if part is not None:
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", part).groups()
            start, stop = int(first), min(int(last or len(data)), len(data) - 1) + 1
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            status, data = 206, data[start:stop]
        if name in self.hub.broken:
            return self._send(500, b"")
        cut = self.hub.cut.pop(name, None) if self.command == "GET" else None
        self._send(status, data, headers, cut=cut)

    def _fail(self, status: int, code: str, message: str, headers: Any = ()) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": message, **dict(headers)})

    def _send(self, status: int, body: bytes, headers: Any = (), cut: int | None = None) -> None:
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = body if self.command == "GET" else b""
        if cut is not None:
            sent = body[:cut]
            self.close_connection = True
        path = urlsplit(self.path).path
        self.hub.log.append(Request(self.command, path, self.headers.get("Range"), len(sent)))
        self.wfile.write(sent)


def run_child(hub_url: str, home: Path, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the hub at `hub_url` and its cache in `home`."""
    own = {
        "HF_ENDPOINT": hub_url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", **env,
    }  # fmt: skip
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **own}, capture_output=True, text=True, check=False,
    )  # fmt: skip
