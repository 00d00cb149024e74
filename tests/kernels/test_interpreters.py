"""A subinterpreter, in which the core would wait for the main one, is refused at once."""

import subprocess
import sys

CODE = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
attempt = '''
import sys
sys.path[:0] = PATHS
try:
    import trpo_fast
except ImportError as error:
    print(error)
'''.replace("PATHS", repr(sys.path))
interpreters.run_string(interpreters.create(), attempt)
"""


def test_a_subinterpreter_is_refused_at_once():
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, timeout=60)
    assert "expected the main interpreter" in result.stdout or "numpy" in result.stdout.lower(), result
