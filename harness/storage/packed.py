"""The packed form of a run's records: one line of JSON per cell in one compressed file.

A run in progress keeps a folder per cell, because small files written atomically survive a crash. When a finished run
is packed, the contents of its cells' JSON files move into ``records.jsonl.gz``. Weights are not packed. A run with many
cells packs itself at its end.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from harness.errors import UserError
from harness.storage.atomic import write_atomically
from harness.storage.records import EvaluationRecord, Failure, Record, TrainingRecord

FILE = "records.jsonl.gz"
GZIP = 31
"""The number by which zlib knows the format of gzip, with a header that has no time."""
START = b'{"cell":"'


class PackedCell(Record):
    """All records of one cell; either ``training`` or ``failure`` is set."""

    cell: str
    training: TrainingRecord | None = None
    failure: Failure | None = None
    evaluations: list[EvaluationRecord] = Field(default_factory=list)


def read_packed(folder: Path) -> dict[str, bytes]:
    """Return the packed records of a run folder as lines of JSON by cell id; empty if nothing is packed.

    Raises :class:`UserError` if the file cannot be decompressed, or its checksum is wrong.
    """
    path = folder / FILE
    try:
        status = path.stat()
        return _lines(path, status.st_mtime_ns, status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"damaged record {path}: {error}; restore that file from a copy") from None


@lru_cache(maxsize=4)
def _lines(path: Path, modified: int, size: int) -> dict[str, bytes]:
    """Read a packed file, once in each process while it stays as it is."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    return {_id_of(line): line for line in lines}


def _id_of(line: bytes) -> str:
    """Return the cell's id, which a line begins with."""
    if not line.startswith(START):
        raise ValueError(f"a line begins with {line[:20]!r}, not with {START!r}")
    return line[len(START) : line.index(b'"', len(START))].decode()


def write_packed(folder: Path, cells: Iterable[PackedCell]) -> Path:
    """Write the packed cells of a run folder; the same cells give the same bytes. Return the file's path."""
    write_atomically(folder / FILE, *_compressed(cells))
    return folder / FILE


def _compressed(cells: Iterable[PackedCell]) -> Iterator[bytes]:
    """Yield the parts of the file. Only the compressed lines are held in memory, a tenth of the records."""
    compressor = zlib.compressobj(level=9, wbits=GZIP)
    for cell in cells:
        yield compressor.compress(f"{cell.model_dump_json(exclude_defaults=True)}\n".encode())
    yield compressor.flush()
