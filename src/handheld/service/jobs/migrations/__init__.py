"""The history of the table of jobs."""
