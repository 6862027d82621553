"""A child process that has a child of its own; started by the tests of processes."""

import subprocess
import sys
import time

from infra.local.children import begin

handed = begin(sys.argv)
if handed.settings["fail"]:
    sys.exit("it would not start")
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(handed.directory / "litter").write_text("left in the directory for temporary files")
(handed.directory.parent / "pid").write_text(str(grandchild.pid))
time.sleep(600)
