"""Serving the review application on this machine: a port, a link for each reader, and an orderly end."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...data.run import RunFolder
from ...schemas.errors import InputError, RunLockedError
from ..amend import amend
from .compare import BlindedComparison
from .screens import ReviewRun, Settings

if TYPE_CHECKING:
    import uvicorn

    from .guard import Sessions

HOST = "127.0.0.1"


def serve(
    folders: Sequence[Path],
    readers: Sequence[str],
    settings: Settings,
    *,
    port: int = 0,
    on_links: Callable[[dict[str, str]], None],
) -> int:
    """Serve until interrupted, then write the run's tables.

    Args:
        folders: the run that is read, or two that are compared.
        readers: each gets a link that works once.
        settings: sampling, blinding, and how long a film must be looked at.
        port: to listen on; 0 takes a free one.
        on_links: is called with the links when the server answers.

    Returns:
        how many candidates readers have decided on, or how many pairs they have compared.

    Raises:
        InputError: an extra is missing, the port is taken, or there is nothing to read.
    """
    with prepared(folders, settings, port) as ready:
        on_links({name: ready.link(name) for name in readers})
        try:
            with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it ends; the server has shut down by now
                ready.server.run(sockets=[ready.listener])
        finally:
            decided = ready.decided()
    if len(folders) > 1:
        return decided
    with contextlib.suppress(RunLockedError):  # whoever writes to the run now, writes the tables at its end
        rewrite_tables(folders[0])
    return decided


class Prepared(NamedTuple):
    """A server that has not started, and what it will serve."""

    server: "uvicorn.Server"
    listener: socket.socket
    sessions: "Sessions"
    review: ReviewRun
    comparison: BlindedComparison | None

    def link(self, reader: str) -> str:
        """A link for one reader; it works once."""
        port = self.listener.getsockname()[1]
        return f"http://{HOST}:{port}/enter?token={self.sessions.link(reader)}"

    def decided(self) -> int:
        """How many candidates readers have decided on, or how many pairs they have compared."""
        return len(self.comparison.preferences() if self.comparison else self.review.finals())


@contextlib.contextmanager
def prepared(folders: Sequence[Path], settings: Settings, port: int) -> Iterator[Prepared]:
    """Open the run, or two to compare, and a port on this machine; close them at the end.

    Raises:
        InputError: see `serve`.
    """
    try:
        import uvicorn

        from .app import application
        from .guard import Sessions
    except ImportError as error:
        raise InputError(f"the review application needs the extra 'review' ({error.name} is missing)") from None

    with contextlib.ExitStack() as stack:
        run, *others = [stack.enter_context(RunFolder.read(path)) for path in folders]
        listener = stack.enter_context(_listening(port))
        review = ReviewRun(run, settings)
        stack.callback(review.close)
        if not review.index.entries:
            raise InputError("nothing in this run has been judged yet; go on with: tenstep curate", file=folders[0])
        review.queue(settings.queue)  # refuses one that there is not
        comparison = BlindedComparison((run, others[0]), settings.sampling.seed) if others else None
        if comparison:
            stack.callback(comparison.close)
        sessions = Sessions()
        app = application(review, sessions, port=listener.getsockname()[1], comparison=comparison)
        # a log would hold the links
        quiet: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
        server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=2, **quiet))
        yield Prepared(server, listener, sessions, review, comparison)


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
