"""Pages of memory that the C library gets from the system."""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings, as its malloc.h has them."""
KEPT = 2**30
"""Bytes that may be kept, and below which an array lies among them."""


def keep_pages() -> bool:
    """Let this process keep what it frees for its next arrays; whether that can be set (glibc alone).

    By default glibc gives large arrays back as soon as they are freed, and every new one is faulted in page
    by page. In a process that holds nothing else that took half of the time of scoring masks
    (benchmarks/README.md).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    set_option = ctypes.CDLL(None).mallopt
    return bool(set_option(TRIM_THRESHOLD, KEPT)) and bool(set_option(MMAP_THRESHOLD, KEPT))
