"""Where container images should be, and from where to pull them.

A pure core (``placement.core``) folds events into state and answers questions about
it; a thin shell moves bytes. Import ``placement.client`` to ask a running service, and
see README.md for the rooms of the house.
"""

__version__ = "0.1.0"
