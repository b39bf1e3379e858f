"""Calls: composed with the truth known, and what the service makes of them."""
