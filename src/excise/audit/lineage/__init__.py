"""Which family of teachers a model's answers resemble, or none: leads for a triage, never evidence and never a p-value."""
