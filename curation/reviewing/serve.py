"""Serving the review application on this machine: a port, a link for each reader, and an orderly end."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...data.run import RunFolder
from ...schemas.errors import InputError, RunLockedError
from ..recheck import amend
from .screens import ReviewRun, Settings

HOST = "127.0.0.1"


def serve(
    folder: Path,
    readers: Sequence[str],
    settings: Settings,
    *,
    port: int = 0,
    on_links: Callable[[dict[str, str]], None],
) -> int:
    """Serve until interrupted, then write the run's tables.

    Args:
        folder: the run.
        readers: each gets a link that works once.
        settings: sampling, blinding, and how long a film must be looked at.
        port: to listen on; 0 takes a free one.
        on_links: is called with the links when the server answers.

    Returns:
        how many candidates readers have decided on.

    Raises:
        InputError: an extra is missing, the port is taken, or there is nothing to read.
    """
    try:
        import uvicorn

        from .app import application
        from .guard import Sessions
    except ImportError as error:
        raise InputError(f"the review application needs the extra 'review' ({error.name} is missing)") from None

    with RunFolder.read(folder) as run, _listening(port) as listener:
        review = ReviewRun(run, settings)
        if not review.index.entries:
            review.close()
            raise InputError("nothing in this run has been judged yet", file=folder)
        here = listener.getsockname()[1]
        sessions = Sessions()
        app = application(review, sessions, port=here)
        # a log would hold the links
        quiet: dict[str, Any] = {
            "log_level": "warning",
            "access_log": False,
            "server_header": False,
        }  # logs would hold links
        server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=2, **quiet))
        on_links({name: f"http://{HOST}:{here}/enter?token={sessions.link(name)}" for name in readers})
        try:
            with contextlib.suppress(
                KeyboardInterrupt
            ):  # that is how it ends; the server has already shut down in order
                server.run(sockets=[listener])
        finally:
            decided = len(review.finals())
            review.close()
    with contextlib.suppress(RunLockedError):  # whoever writes to the run now, writes the tables at its end
        rewrite_tables(folder)
    return decided


def rewrite_tables(folder: Path) -> dict[str, int]:
    """Write a run's tables again, so that they follow the readers' decisions; the counts afterwards.

    Raises:
        RunLockedError: another process is working on the run.
    """
    return amend(folder, lambda _run, _candidate, verdict: verdict).counts


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise InputError(f"port {port} cannot be used ({error.strerror}); choose another --port") from None
        listener.listen(128)
        yield listener
