"""``python -m firsttoken`` is the command ``firsttoken``."""

from firsttoken.cli import main

if __name__ == "__main__":
    main()
