"""Data sets, recipes and evaluation: everything that makes the files in `weights/`."""
