"""`python -m bot` is `deepselfie`."""

import sys

from bot.command import main

sys.exit(main())
