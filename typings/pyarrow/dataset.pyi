from collections.abc import Sequence

from pyarrow import Scalar, Schema
from pyarrow.fs import FileSystem

class Expression:
    def __eq__(self, other: Scalar) -> Expression: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]

class Dataset:
    schema: Schema

class FileFormat: ...
class ParquetFileFormat(FileFormat): ...

class FileSystemDataset(Dataset):
    @staticmethod
    def from_paths(
        paths: Sequence[str],
        schema: Schema,
        format: FileFormat,
        filesystem: FileSystem,
        partitions: Sequence[Expression],
    ) -> FileSystemDataset: ...

def field(name: str) -> Expression: ...
