"""The engine on more than one machine: models as Ray Serve deployments, archives by Ray Data."""
