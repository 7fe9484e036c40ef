"""`python -m tenstep`, and the command `tenstep`: the command line in cli/."""

from .cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
