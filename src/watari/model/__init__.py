"""Model folders: load, initialise, graft new vocabulary rows, examine."""
