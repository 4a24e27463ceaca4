"""ministack, an emulator of AWS, mended where it is unlike AWS. scripts/deploy/whole_stack.py starts it.

Nothing here knows of this project. Each module says what AWS does. `mend` fails when ministack does so itself.
"""

import appsync  # noqa: F401
import cache  # noqa: F401
import cloudformation  # noqa: F401
import invocations  # noqa: F401
import queues  # noqa: F401
import rights  # noqa: F401
import streams  # noqa: F401
import vpc  # noqa: F401
from ministack.app import main

main()
