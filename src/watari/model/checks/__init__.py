"""The checks of `watari doctor`: one function a check, each looking at one thing of a model folder."""
