"""What could an automated agent exploit in a code base: read it, never run it, and prove what is said.

    walk -> read each file (in processes, cached by content) -> conclude over the tree -> replay the proofs -> print

Start reading at `run.inspect`. The pieces, in the order in which data moves:

- `walk.walk` lists the tree without following anything out of it, within budgets; `tree.Source` is one file's content.
- `analyser.Analyser` is a value: an id, the classes it may find, `wants(path)`, `read(source) -> notes` (pure, plain
  JSON values, cached) and `conclude(notes of every file) -> findings`. `registry.ANALYSERS` is the literal list of them.
- `finding.Finding` is what is found; `weakness.WEAKNESSES` is the literal list of classes with CWE and documentation.
- `proof` replays each finding's steps on the text alone, knowing nothing of how they were found.
- `outputs.FORMATS` is the literal list of renderings.
"""
