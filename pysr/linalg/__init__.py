"""Linear algebra with every operation rounded."""
