"""Plan a recipe's graph and run it: keys, cache, resume, progress."""
