"""Text that libraries print on stdout must not mix with JSON."""

import subprocess
import sys

SCRIPT = """
import os
from cli.quiet import stdout_to_stderr
with stdout_to_stderr():
    os.write(1, b"a bar\\n")
    print("a line")
print("the result")
"""


def test_output_of_native_code_goes_to_stderr_too():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "the result\n"
    assert done.stderr == "a bar\na line\n"
