"""A state as another service tells it: what a local replica answers from.

It holds what a packed watch tells and nothing else, in columns, and answers what is
asked most often in microseconds; for the rest it lends an excerpt to the same functions
that the service answers with. Only what is told changes it.
"""
