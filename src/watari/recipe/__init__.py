"""The recipe file: read, merge, check, and tell mistakes by file and line."""
