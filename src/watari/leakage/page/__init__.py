"""The page of a scan: `watari leakage scan --out DIR`."""
