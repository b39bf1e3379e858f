"""Faults on purpose, against real server processes: `python -m bench.faults NAME`."""
