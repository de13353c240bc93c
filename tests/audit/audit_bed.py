"""Answers of the test-bed as counted tuples."""

from excise.audit import ngram
from excise.audit.tokens import counted

QUERIES = 250


def counts(words):
    return counted([ngram.tuples_of(words)])
