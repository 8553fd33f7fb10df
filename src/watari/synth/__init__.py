"""Training data that is made: translated, generated, answered, paired; every row checked, none lost."""
