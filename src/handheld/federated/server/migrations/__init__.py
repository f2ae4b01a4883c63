"""The history of the tables of a federation."""
