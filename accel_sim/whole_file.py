"""A file that appears complete or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


class WholeFile:
    """A file that is written beside its place and takes its name at the end.

    Made before the work, so that a path that cannot be written is known before hours are spent. A link leads to its
    target, a file that is replaced keeps its mode, devices and pipes are written in place.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises OSError, which names `path` as it was given, where the file cannot be written."""
        self.path = Path(path)
        self._target = Path(os.path.realpath(path))  # a loop of links leads to itself and fails when it is opened
        self._temporary: Path | None = None
        with self._named():
            self._stream = self._opened()

    def _opened(self) -> IO[bytes]:
        if self._target.exists() and not self._target.is_file():
            return self._target.open("wb")
        if self._target.exists() and not os.access(self._target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        descriptor, name = tempfile.mkstemp(prefix=f".{self._target.name}.", dir=self._target.parent)
        self._temporary = Path(name)
        return os.fdopen(descriptor, "wb")

    def write(self, save: Callable[[IO[bytes]], None]) -> None:
        """Let `save` write the content, then give the file its name.

        Raises:
            OSError: the disk is full, or the folder has gone.
        """
        with self._named():
            save(self._stream)
            self._stream.flush()
            self._stream.close()
            if self._temporary is not None:
                self._temporary.chmod(self._mode())
                self._temporary.replace(self._target)
                self._temporary = None

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors name the path that was given, and not the file beside it."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from None

    def _mode(self) -> int:
        if self._target.exists():
            return self._target.stat().st_mode & 0o777
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask

    def discard(self) -> None:
        """Leave no trace of what was not finished."""
        with contextlib.suppress(OSError):  # closing flushes, and the disk may be full: the file goes away anyway
            self._stream.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file at once: a reader sees the old one or the new one.

    Raises:
        OSError: naming `path`, which cannot be written.
    """

    def save(stream: IO[bytes]) -> None:
        stream.write(content)

    file = WholeFile(path)
    try:
        file.write(save)
    finally:
        file.discard()
