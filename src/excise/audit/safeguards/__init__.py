"""Which refusals a model lost that another has: the same prompts to both, a judge whose errors are counted, exact tests."""
