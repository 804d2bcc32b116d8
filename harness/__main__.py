"""``python -m harness`` is ``lengthwise``, for a checkout that is not installed."""

from harness.cli import main

main()
