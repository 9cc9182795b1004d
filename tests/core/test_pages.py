import platform
import subprocess
import sys

import pytest

PROBE = """
import resource, sys
import numpy as np
from unipixel.core.pages import keep_pages
if sys.argv[1] == "kept":
    assert keep_pages()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    np.ones(400_000, np.uint8)
before = faults()
for _ in range(50):
    one = np.ones(400_000, np.uint8)
    other = np.ones(300_000, np.uint8)
    del one, other
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_kept_pages_are_not_faulted_in_again():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", PROBE, how], capture_output=True, check=True).stdout)
        for how in ("given back", "kept")
    }
    assert faults["kept"] < 400 < faults["given back"]
