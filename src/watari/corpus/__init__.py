"""Documents: reading them in, and the first form of cleaning; token shards packed from them."""
