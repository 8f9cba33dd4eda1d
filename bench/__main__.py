"""`python -m bench`: every measurement there is, one after the other."""

import sys

from bench import border

sys.exit(border.main())
