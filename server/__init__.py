"""The service: settings, engine, pipeline, gRPC and the command line."""
