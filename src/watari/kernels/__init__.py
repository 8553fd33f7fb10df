"""Array kernels on text: code points, n-grams, MinHash, overlap with an index, hashed features.

Each kernel is written twice: for numba, compiled, and for numpy alone. Both give the same bytes (integers, or floats
made from integers in one fixed order), so that it does not matter where numba is installed.
"""
