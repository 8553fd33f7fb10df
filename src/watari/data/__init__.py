"""Outside datasets in their published forms, brought into the schemas of the house."""
