"""`python -m geomon`: the commands."""

from __future__ import annotations

from geomon.cli import main

if __name__ == "__main__":
    main()
