"""Shaberi: four sets of Japanese questions, one turn, rated by a judge."""
