"""`make bench`: what the service costs, beside what a user would put together from parts."""
