"""`python -m tenstep`, and the command `tenstep`: the command line in cli/."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; see cli/app.py. Ctrl-C ends it without a traceback from its first moment on."""
    try:
        from .cli.app import main as run

        return run(argv)
    except KeyboardInterrupt:
        sys.stderr.write("tenstep: interrupted\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
