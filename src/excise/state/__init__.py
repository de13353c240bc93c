"""A scan that goes on: what was sketched of earlier files, kept in a folder, so that a new file costs only its own rows.

    STATE/state.json          what the sketches depend on; another seed or version is refused
    STATE/000001/meta.json    the files that one scan read, and what was rejected in them
    STATE/000001/rows.bin     their sketched rows, by range of account hashes; `ranges.npy` says where each range ends, and its sum
    STATE/000001/accounts.parquet, systems.npz      names of accounts, sketches of system prompts
    STATE/000001/requests.parquet                   ids, and the beginnings of the requests, for examples in reports

A segment appears under its name only when it is complete, and every file of it carries checksums that are verified when it is
read. Its rows are numbered from `segment << 40` on, in every scan. Start reading at `folder`.
"""
