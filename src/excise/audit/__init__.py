"""Was this model distilled from ours, and which safeguards did it lose: keyed marks, sealed plans, tests with bounds.

A case is a folder, and its files come in the order in which they are made: `plan` (sealed before the first query),
`suspects/NAME.ndjson` (one chained transcript a suspect), `report`. Start reading at `case.py`.
"""
