"""How networks learn: batches that depend on the step alone, a loop that can be stopped anywhere,
and what to learn from.

``batches`` draws and varies pictures, ``loop`` takes the steps, ``distil`` says how a student
follows its teacher, ``joint`` trains a whole family in one run.
"""
