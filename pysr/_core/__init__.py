"""The door between Python and the C library. Use the names in `pysr`, not these."""
