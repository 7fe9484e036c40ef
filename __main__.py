"""The command line: composes each room's commands.py, nothing else."""


def main() -> int:
    """Run one command."""
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
