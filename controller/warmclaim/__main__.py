"""`python -m warmclaim` is the console script `warmclaim`."""

import sys

from warmclaim.cli import main

if __name__ == "__main__":
    sys.exit(main())
