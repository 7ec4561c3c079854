"""`python -m utils.train`."""

import sys

from utils.train.command import main

if __name__ == "__main__":
    sys.exit(main())
