"""Many rows of the state told at once, in columns: what a packed watch is made of."""
