"""The pages of docs/reference, as the code says them.

``python -m tests.reference`` writes them anew; tests/unit/test_reference.py compares.
"""
