"""Fuzzers: what strangers' files and requests may do to the project. See README.md."""
