"""Run the command line as ``python -m pysr``."""

from pysr.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
