"""Checksums of what is stored: a record that can be read, but is not what was written, is noticed.

A JSON object has the CRC-32 of its text as its last key, a file of weights that of its values in its header. Records
of earlier versions have no checksum and are believed.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

KEY = "checksum"
LAST_KEY = b',"checksum":"'
LENGTH = len(LAST_KEY) + len(b'01234567"}')
WRONG = "its checksum is wrong: it was changed after it was written"


def with_checksum(text: str) -> str:
    """Return the text of a JSON object with its checksum as the last key."""
    values = text[: text.rindex("}")].rstrip().encode()
    return (values + _last_key(values)).decode()


def without_checksum(content: bytes) -> bytes:
    """Return the text of a JSON object without its checksum; raise :class:`ValueError` if that is wrong."""
    content = content.rstrip()
    if not content.startswith(LAST_KEY, -LENGTH):
        return content
    values = content[:-LENGTH]
    if not content.endswith(_last_key(values)):
        raise ValueError(WRONG)
    return values + b"}"


def _last_key(values: bytes) -> bytes:
    return b'%b%08x"}' % (LAST_KEY, zlib.crc32(values))


def weights_to_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """Return the content of a safetensors file with the weights and their checksum."""
    values = {name: value.contiguous() for name, value in weights.items()}
    return save(values, {KEY: _checksum_of(values)})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of weights.

    Raises :class:`OSError`, :class:`safetensors.SafetensorError`, or :class:`ValueError` if its checksum is wrong.
    """
    with safe_open(path, "pt") as file:
        values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no dict
        written = (file.metadata() or {}).get(KEY)
    if written is not None and written != _checksum_of(values):
        raise ValueError(WRONG)
    return values


def _checksum_of(weights: Mapping[str, Tensor]) -> str:
    checksum = 0
    for name in sorted(weights):
        checksum = zlib.crc32(weights[name].cpu().reshape(-1).view(torch.uint8).numpy().data, checksum)
    return f"{checksum:08x}"
