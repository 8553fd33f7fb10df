"""Clients that the endpoint benchmark runs, each as a script in a process of its own; every one does the same rows."""
