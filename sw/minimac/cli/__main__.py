"""``python -m minimac.cli``."""

import sys

from minimac.cli import main

if __name__ == "__main__":
    sys.exit(main())
