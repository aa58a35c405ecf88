"""Files that are whole or absent, and names made from content."""

from storage.atomic import atomic_path, sync, write_json, write_text
from storage.fingerprint import fingerprint, hash_file, plain
from storage.seal import damaged, file_seals, is_sealed, read_seal, seal

__all__ = [
    "atomic_path",
    "damaged",
    "file_seals",
    "fingerprint",
    "hash_file",
    "is_sealed",
    "plain",
    "read_seal",
    "seal",
    "sync",
    "write_json",
    "write_text",
]
