"""Continual learning: new labels beside replay, a gate that refuses what forgets, a registry."""
