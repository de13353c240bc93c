"""A model as a second pair of eyes: it may add and raise, what it says is replayed, and it can hide nothing.

apart     the process that reads the tree, behind walls without any network
slices    the code that is quoted
prompt    how it is quoted, as data
endpoint  whom we ask
answer    what an answer may hold
claims    the answer's hypotheses, replayed and joined to the report
patches   the answer's fixes, applied to a copy in memory and inspected again
stage     the order of all that, its budget and its transcript
"""
