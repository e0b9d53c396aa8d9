from datetime import datetime
from enum import Enum
from typing import overload

from pyarrow import NativeFile

class FileType(Enum):
    NotFound = 0
    Unknown = 1
    File = 2
    Directory = 3

class FileInfo:
    base_name: str
    path: str
    size: int | None
    type: FileType

class FileSelector:
    def __init__(
        self, base_dir: str, allow_not_found: bool = False, recursive: bool = False
    ) -> None: ...

class FileSystem:
    type_name: str
    @staticmethod
    def from_uri(uri: str) -> tuple[FileSystem, str]: ...
    @overload
    def get_file_info(self, what: str) -> FileInfo: ...
    @overload
    def get_file_info(self, what: FileSelector) -> list[FileInfo]: ...
    def create_dir(self, path: str, *, recursive: bool = True) -> None: ...
    def delete_file(self, path: str) -> None: ...
    def move(self, src: str, dest: str) -> None: ...
    def open_output_stream(self, path: str) -> NativeFile: ...

class LocalFileSystem(FileSystem): ...

class _MockFileSystem(FileSystem):
    def __init__(self, current_time: datetime | None = None) -> None: ...

def copy_files(
    source: str,
    destination: str,
    source_filesystem: FileSystem | None = None,
    destination_filesystem: FileSystem | None = None,
    *,
    chunk_size: int = ...,
    use_threads: bool = True,
) -> None: ...
