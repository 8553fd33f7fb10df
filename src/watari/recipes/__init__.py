"""Recipes that travel in the package; `watari run NAME` finds them by name."""
