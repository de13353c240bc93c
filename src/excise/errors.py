"""Every error a user can meet, in one tree. Each names the thing and carries a hint that says what to do.

    ExciseError                 exit
    ├── UsageError               2    a wrong option, an unknown key in a settings file
    ├── InputError               3    something that cannot be read
    │   ├── UnreadableFile       3    no footer, a broken stream, no permission, no such file
    │   ├── SchemaMismatch       3    a required column is missing or has the wrong type
    │   └── TooManyBadRows       3    more rows than --max-bad-rows allows are bad
    ├── OutputError              4    a full disk, a folder that exists, no permission
    └── Interrupted            130    Ctrl-C or SIGTERM

One bad row is not an error: it is counted, sampled and left out (`BadRow` is how a reader says so).
A kind of evidence that is missing is not an error either: it is skipped and said in the run.
"""

from __future__ import annotations


class ExciseError(Exception):
    """What went wrong (`message`), with which thing (`subject`), and what to do about it (`hint`)."""

    exit_status = 1

    def __init__(self, message: str, *, subject: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}" if self.subject else self.message


class UsageError(ExciseError):
    """A wrong option, argument or setting."""

    exit_status = 2


class InputError(ExciseError):
    """Input that cannot be read."""

    exit_status = 3


class UnreadableFile(InputError):
    """A file that is missing, cut off where that cannot be mended, or not permitted."""


class SchemaMismatch(InputError):
    """A required column is missing, or a column has a type that cannot be converted."""


class TooManyBadRows(InputError):
    """The share of bad rows is above what `--max-bad-rows` allows."""


class OutputError(ExciseError):
    """Output that cannot be written."""

    exit_status = 4


class Interrupted(ExciseError):
    """The user or the system stopped the run."""

    exit_status = 130


class BadRow(Exception):
    """One row that cannot be used. `reason` is a short stable word, e.g. `bad-json`, `no-account`; `detail` is free text."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
