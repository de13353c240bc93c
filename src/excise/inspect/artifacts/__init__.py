"""Files of models and data: what would run, or be read, when they are loaded. None is ever loaded.

Each format is read by its structure, in memory, within bounds, with lists of what is allowed; what is not on a list is
said. A file that ends early or is not what its name says is a finding too, since loaders run what stands before the end.
"""
