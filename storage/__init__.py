"""Files that are whole or absent, and names made from content."""

from storage.atomic import atomic_path, write_json, write_text
from storage.fingerprint import fingerprint, hash_file

__all__ = ["atomic_path", "fingerprint", "hash_file", "write_json", "write_text"]
