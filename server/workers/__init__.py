"""Media that comes from outside is decoded in processes of its own: see `server.workers.pool`."""
