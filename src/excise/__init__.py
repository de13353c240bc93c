"""Excise: find distillation campaigns in the API logs of a language model, and say why."""

__version__ = "0.1.0"
