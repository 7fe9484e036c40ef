"""A hub on loopback that takes repositories and commits, as huggingface_hub sends them, and remembers them."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HubServer:
    """Use it in a `with` block."""

    def __init__(self, *, refuse: int = 0) -> None:
        self.repositories: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.refuse = refuse
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(200, {"id": "x", "sha": "0" * 40, "siblings": []})

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if hub.refuse:
                    self._answer(hub.refuse, {"error": "no"})
                elif self.path == "/api/repos/create":
                    hub.repositories.append(json.loads(body))
                    self._answer(200, {"url": f"{hub.url}/datasets/o/n", "id": "o/n"})
                elif "/preupload/" in self.path:
                    files = [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for f in json.loads(body)["files"]
                    ]
                    self._answer(200, {"files": files})
                elif "/commit/" in self.path:
                    for line in body.splitlines():
                        told = json.loads(line)
                        if told["key"] == "file":
                            hub.files[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
                    commit = {"commitUrl": f"{hub.url}/datasets/o/n/commit/{'0' * 40}", "commitOid": "0" * 40}
                    self._answer(200, {**commit, "success": True})
                else:
                    self._answer(200, {"errors": [], "warnings": []})

            def _answer(self, status: int, found: object) -> None:
                data = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubServer":
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
