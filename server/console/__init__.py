"""The console: a page for people, which speaks to a server through the API and nothing else."""
