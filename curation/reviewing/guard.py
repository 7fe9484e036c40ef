"""Who may talk to the review application: this machine's browser, with a session, from our own pages only.

Every request must name our exact host and port (no DNS rebinding), and one that changes something must come from our
own origin (no cross-site form). A session begins with a link that works once; its cookie is named with the port,
because cookies do not know ports, and is never sent across sites. Every answer carries a policy that lets the browser
load our own files only, and forbids framing, caching and referrers to elsewhere.
"""

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from importlib import resources
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PACKAGE = __package__ or ""
_USED = "This link was used already, or the server was started again. Use the new link."


class ReaderSession(NamedTuple):
    """A browser that came through a reader's link."""

    id: str
    reader: str


class Sessions:
    """Links that work once, and the sessions that began with them. They live as long as the server."""

    def __init__(self) -> None:
        self._links: dict[str, str] = {}
        self._sessions: dict[str, ReaderSession] = {}

    def link(self, reader: str) -> str:
        """A token that begins one session of a reader."""
        token = secrets.token_urlsafe(32)
        self._links[token] = reader
        return token

    def begin(self, token: str) -> ReaderSession | None:
        """The session that a token begins; none if it was used, or never given out."""
        known = next((link for link in self._links if hmac.compare_digest(link, token)), None)
        if known is None:
            return None
        session = ReaderSession(secrets.token_urlsafe(32), self._links.pop(known))
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str) -> ReaderSession | None:
        """A session by its cookie."""
        return self._sessions.get(session_id)


def policy() -> str:
    """The content security policy, from its file: one directive a line, without the comments."""
    lines = resources.files(_PACKAGE).joinpath("policy.txt").read_text("utf-8").splitlines()
    return "; ".join(line.strip() for line in lines if line.strip() and not line.startswith("#"))


class Guard:
    """ASGI middleware: refuses what is not ours, adds the headers, hands on requests of a session."""

    def __init__(self, app: ASGIApp, *, port: int, sessions: Sessions) -> None:
        self._app = app
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._origins = frozenset(f"http://{host}" for host in self._hosts)
        self.cookie = f"tenstep_review_{port}"
        self._sessions = sessions
        self._policy = policy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the application with the session in the scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out.update(
                    {
                        "Content-Security-Policy": self._policy,
                        "X-Frame-Options": "DENY",
                        "X-Content-Type-Options": "nosniff",
                        "Referrer-Policy": "same-origin",  # no-referrer would make our own forms say Origin: null
                        "Cross-Origin-Resource-Policy": "same-origin",
                        "Cross-Origin-Opener-Policy": "same-origin",
                        "Cache-Control": "no-store",
                    }
                )
            await send(message)

        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await PlainTextResponse(refusal, 403)(scope, receive, sealed)
            return
        if scope["path"] == "/enter":
            await self._enter(scope)(scope, receive, sealed)
            return
        session = self._session(headers)
        if session is None:
            await PlainTextResponse(_USED, 401)(scope, receive, sealed)
            return
        scope["session"] = session
        await self._app(scope, receive, sealed)

    def _refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        if headers.get("host", "") not in self._hosts:
            return "This host is not ours."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            # a link from elsewhere may not even open a page: the reader's link is typed or opened by us
            return "This request comes from another site."
        if method not in ("GET", "HEAD") and headers.get("origin", "") not in self._origins:
            return "This request does not come from our page."
        return None

    def _enter(self, scope: Scope) -> PlainTextResponse | RedirectResponse:
        token = scope["query_string"].decode("latin-1").removeprefix("token=")
        session = self._sessions.begin(token)
        if session is None:
            return PlainTextResponse(_USED, 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self.cookie, session.id, httponly=True, samesite="strict", path="/")
        return answer

    def _session(self, headers: Mapping[str, str]) -> ReaderSession | None:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return None
        return None if found is None else self._sessions.find(found.value)
