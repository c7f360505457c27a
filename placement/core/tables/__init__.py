"""How state is held: rows of integer columns behind keys, and what is derived."""
