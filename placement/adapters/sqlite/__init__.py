"""The checkpoint in a SQLite file, with hashes of its own."""
