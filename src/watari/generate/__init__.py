"""Generating text: samplers, chat templates and their checks, local models."""
