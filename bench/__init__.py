"""Benchmarks as commands, each with its baseline in the same run."""
