"""``python -m pyqtf`` is the command ``pyqtf``."""

import sys

from pyqtf.cli import main

sys.exit(main())
