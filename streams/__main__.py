"""The command ``wirewatch``, also as ``python -m streams``: it takes a moment to import, and Ctrl-C may come meanwhile."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from streams import cli  # noqa: PLC0415 - see above

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
