"""A hub on loopback that takes repositories and commits, as huggingface_hub sends them, and gives files back.

Every dataset is there, but for those whose name says `missing`, and all are the same: one set of files.
"""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class HubServer:
    """Use it in a `with` block."""

    def __init__(self, *, refuse: int = 0, reason: str = "no") -> None:
        self.repositories: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.commits = 0
        self.refuse = refuse
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                if hub.refuse:
                    self._answer(hub.refuse, {"error": reason})
                elif "/missing" in path:
                    self._answer(404, {"error": "no"}, X_Error_Code="RepoNotFound")
                elif "/tree/" in path:
                    found = hub.listed(
                        path.partition("/tree/main")[2].strip("/"), deep="recursive=true" in self.path.lower()
                    )
                    if found:
                        self._answer(200, found)
                    else:
                        self._answer(404, {"error": "no"}, X_Error_Code="EntryNotFound")
                elif "/resolve/" in path:
                    content = hub.files.get(path.partition("/resolve/main/")[2])
                    self._send(200 if content is not None else 404, content or b"", {})
                else:
                    self._answer(200, {"id": "x", "sha": "0" * 40, "siblings": []})

            do_HEAD = do_PUT = do_GET

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if hub.refuse:
                    self._answer(hub.refuse, {"error": reason})
                elif self.path == "/api/repos/create":
                    hub.repositories.append(json.loads(body))
                    self._answer(200, {"url": f"{hub.url}/datasets/o/n", "id": "o/n"})
                elif "/preupload/" in self.path:
                    files = [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for f in json.loads(body)["files"]
                    ]
                    self._answer(200, {"files": files})
                elif "/paths-info/" in self.path:
                    asked = {*json.loads(body)["paths"]}
                    self._answer(200, [one for one in hub.listed("", deep=True) if one["path"] in asked])
                elif "/commit/" in self.path:
                    hub.commits += 1
                    for line in body.splitlines():
                        told = json.loads(line)
                        if told["key"] == "file":
                            hub.files[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
                    commit = {"commitUrl": f"{hub.url}/datasets/o/n/commit/{'0' * 40}", "commitOid": "0" * 40}
                    self._answer(200, {**commit, "success": True})
                else:
                    self._answer(200, {"errors": [], "warnings": []})

            def _answer(self, status: int, found: object, **headers: str) -> None:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                self._send(status, json.dumps(found).encode(), {"Content-Type": "application/json", **named})

            def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def listed(self, folder: str, *, deep: bool) -> list[dict[str, Any]]:
        """Files and folders under a folder of the repository."""
        above = f"{folder}/" if folder else ""
        found: dict[str, dict[str, Any]] = {}
        for name, content in self.files.items():
            if not name.startswith(above):
                continue
            parts = name.removeprefix(above).split("/")
            for depth in range(1, len(parts)):
                inner = above + "/".join(parts[:depth])
                if deep or depth == 1:
                    found[inner] = {"type": "directory", "path": inner, "oid": "0" * 40, "size": 0}
            if deep or len(parts) == 1:
                oid = hashlib.sha1(content).hexdigest()
                found[name] = {"type": "file", "path": name, "oid": oid, "size": len(content)}
        return list(found.values())

    def __enter__(self) -> "HubServer":
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
