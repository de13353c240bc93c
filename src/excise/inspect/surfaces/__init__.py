"""What of a tree executes or instructs when it is opened, or when an agent starts in it.

A `Surface` is a value: an id, the names it wants, and a pure function from one file to `Mark`s. `SURFACES` lists them;
`analyser` makes findings of the marks. A mark carries one of five verdicts (`verdict.Verdict`): an ordinary hook is
something to review, not an accusation.
"""
