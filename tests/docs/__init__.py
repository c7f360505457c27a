"""The commands of the documentation, run as they are written, on real parts."""
