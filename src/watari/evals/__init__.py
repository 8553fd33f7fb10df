"""Evaluations: bits per character, exact answers; every score with n and an interval."""
