"""Folders that appear complete or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from accel_sim.errors import Fault, InputError


class OutputFolder:
    """A folder of files, written beside its place and given its name when it is complete."""

    def __init__(self, path: str, option: str) -> None:
        self.path, self._option = Path(path), option
        self._target = Path(os.path.realpath(path))
        self._refuse_taken()
        try:
            name = tempfile.mkdtemp(prefix=f".{self._target.name}.", dir=self._target.parent)
        except OSError as error:
            raise self._refusal(error.strerror or str(error), "lies in a folder that can be written") from None
        self._temporary = Path(name)

    def _refuse_taken(self) -> None:
        if os.path.lexists(self._target) and not self._target.is_dir():
            raise self._refusal("is not a folder", "is a new or an empty folder")
        try:
            taken = self._target.is_dir() and any(self._target.iterdir())
        except OSError as error:
            raise self._refusal(error.strerror or str(error), "can be read") from None
        if taken:
            raise self._refusal("exists and is not empty", "is a new or an empty folder")

    def _refusal(self, value: str, rule: str) -> InputError:
        return InputError(f"{self._option} {str(self.path)!r}", [Fault("folder", value, rule)])

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write all files, then give the folder its name.

        Raises:
            InputError: the disk is full, or the folder has been filled by others meanwhile.
        """
        try:
            for name, content in files.items():
                (self._temporary / name).write_bytes(content)
            self._temporary.chmod(_new_folder_mode())
            self._temporary.replace(self._target)  # takes the place of an empty folder
        except OSError as error:
            raise self._refusal(error.strerror or str(error), "can be written to the end") from None

    def discard(self) -> None:
        """Leave no trace of what was not finished."""
        shutil.rmtree(self._temporary, ignore_errors=True)


@contextlib.contextmanager
def output_folder(path: str, option: str) -> Iterator[OutputFolder]:
    """The output folder of a command; unfinished, it vanishes.

    Raises:
        InputError: a folder with files in it, something else of that name, or a place that cannot be written.
    """
    folder = OutputFolder(path, option)
    try:
        yield folder
    finally:
        folder.discard()


def _new_folder_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o777 & ~mask
