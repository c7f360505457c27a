"""The lab: real registries, real clients and the program, across an emulated ocean."""
