"""Files at the edge: arrays in, arrays and text out, nothing half-written."""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

from accel_sim.errors import Fault, InputError
from accel_sim.whole_file import WholeFile

Array = NDArray[np.generic]
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, SyntaxError
)  # fmt: skip


def read_arrays(path: str, what: str, single: str | None) -> dict[str, Array]:
    """All arrays of an .npz file, or that of an .npy file.

    Args:
        path: of the file.
        what: they are, in errors.
        single: the name of an .npy file's array; None where one array is not enough.

    Raises:
        InputError: missing, unreadable, another kind of file, damaged, or holding Python objects.
    """
    subject, file = f"{what} {path!r}", Path(path)
    rule = "is an .npz file, as numpy.savez writes it, or an .npy file of one array"
    if single is None:
        rule = "is an .npz file of several arrays, as numpy.savez writes it"
    try:
        if not file.is_file():
            kind = "a directory" if file.is_dir() else "not a regular file" if file.exists() else "no such file"
            raise InputError(subject, [Fault("file", kind, rule)])
        with file.open("rb") as stream:  # which NumPy leaves open if damaged
            if stream.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX and single is not None:
                stream.seek(0)
                return {single: np.load(stream, allow_pickle=False)}
            if not zipfile.is_zipfile(path):
                raise InputError(subject, [Fault("file", "not an .npz", rule)])
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise InputError(subject, [Fault("file", error.strerror or str(error), "can be read")]) from None
    except _DAMAGED as error:
        cure = "save plain numeric arrays" if "pickle" in str(error) else ""
        raise InputError(subject, [Fault("content", str(error), "every array can be read", cure)]) from None
    faults = [
        Fault(name, "not an array", "every member of the file is an array")
        for name, array in arrays.items()
        if not isinstance(array, np.ndarray)  # NumPy hands out other members as bytes
    ]
    if faults:
        raise InputError(subject, faults)
    return arrays


class OutputFile:
    """A `WholeFile` whose errors name the option."""

    def __init__(self, path: str, option: str) -> None:
        self._path, self._option = path, option
        if path == "-":
            raise self._refusal("the standard output", "names a file: the report itself is printed")
        try:
            if Path(path).is_dir():
                raise self._refusal("is a directory", "names a file")
            self._file = WholeFile(path)
        except OSError as error:
            raise self._refusal(error.strerror or str(error), "lies in a folder that can be written") from None

    def _refusal(self, value: str, rule: str) -> InputError:
        return InputError(f"{self._option} {self._path!r}", [Fault("path", value, rule)])

    def write(self, save: Callable[[IO[bytes]], None]) -> None:
        """Let `save` write the content, then give the file its name.

        Raises:
            InputError: the disk is full, or the folder has gone.
        """
        try:
            self._file.write(save)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._refusal(error.strerror or str(error), "can be written to the end") from None

    def discard(self) -> None:
        """Leave no trace of what was not finished."""
        self._file.discard()


@contextlib.contextmanager
def output_files(inputs: tuple[str | None, ...] = (), **paths: str | None) -> Iterator[Mapping[str, OutputFile]]:
    """The output files of a command by option name, those given; unfinished ones vanish.

    Args:
        inputs: paths that the command reads and that must not be overwritten.
        **paths: option name (underscores for dashes) to path, None where the option was not given.

    Raises:
        InputError: two options name one file, an output is an input, or a path cannot be written.
    """
    given = {name: path for name, path in paths.items() if path is not None}
    _refuse_collisions(given, {_real(p) for p in inputs if p})
    opened: dict[str, OutputFile] = {}
    try:
        for name, path in given.items():
            opened[name] = OutputFile(path, f"--{name}")
        yield opened
    finally:
        for file in opened.values():
            file.discard()


def _refuse_collisions(given: Mapping[str, str], taken: set[Path]) -> None:
    for name, path in given.items():
        file = _real(path)
        if file in taken and not (file.exists() and not file.is_file()):  # devices may be named twice
            rule = "is a file of its own, neither an input nor another output"
            raise InputError("outputs", [Fault(f"--{name}", path, rule)])
        taken = taken | {file}


def _real(path: str) -> Path:
    """Where a path leads; a loop of links leads to itself and fails when it is opened."""
    return Path(os.path.realpath(path))


def save_arrays(arrays: Mapping[str, Array]) -> Callable[[IO[bytes]], None]:
    """A writer of an .npz with these arrays, for `OutputFile.write`."""

    def save(stream: IO[bytes]) -> None:
        archive_file: Any = _Forwards(stream)
        with zipfile.ZipFile(archive_file, "w") as archive:  # not np.savez: its keyword names collide with array names
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)

    return save


class _Forwards:
    """A stream that is written from its beginning to its end: devices and pipes go neither back nor tell where."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write, self.flush = stream.write, stream.flush


def save_bytes(content: bytes) -> Callable[[IO[bytes]], None]:
    """A writer of bytes, for `OutputFile.write`."""

    def save(stream: IO[bytes]) -> None:
        stream.write(content)

    return save


def save_text(text: str) -> Callable[[IO[bytes]], None]:
    """A writer of UTF-8 text, for `OutputFile.write`."""
    return save_bytes(text.encode())
