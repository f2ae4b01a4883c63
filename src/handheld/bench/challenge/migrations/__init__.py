"""The history of the tables of a challenge."""
