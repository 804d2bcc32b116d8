"""Calls of the user's code, kept from ending the process or changing what runs after it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def contained() -> Iterator[None]:
    """Run the user's code in this context: ``sys.exit`` is an error in it, and torch's default dtype is restored.

    Raises:
        RuntimeError: if the code calls ``sys.exit``.
    """
    import torch  # help pages and lists do without it

    dtype = torch.get_default_dtype()
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(f"it calls sys.exit({'' if error.code is None else error.code!r})") from error
    finally:
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)
