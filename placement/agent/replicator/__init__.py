"""Carries out what is decided for its region: copies and removals."""
