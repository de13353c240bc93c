"""What a command line does, as far as its words say: an ordinary step, code from the network, secrets sent away.

Patterns over words, not a shell: a command that hides what it does behind its own encoding is one of the patterns
(`obfuscated`). What no pattern knows is an ordinary command, which a surface still reports for review.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.verdict import Verdict

LONGEST = 20_000
"""Characters of a command that are looked at; patterns have no unbounded repetition across it."""

_INTERPRETER = r"(?:sudo\s+)?(?:env\s+)?(?:/(?:usr/)?bin/)?(?:ba|z|da|k)?sh\b|python[\d.]*\b|node\b|perl\b|ruby\b|php\b|iex\b|powershell\b|pwsh\b"
_FETCH = r"\b(?:curl|wget|iwr|irm|invoke-webrequest|invoke-restmethod|fetch)\b"
FETCH_AND_RUN: Final = re.compile(
    rf"{_FETCH}[^\n|;]{{0,400}}\|\s*(?:{_INTERPRETER})"
    rf"|(?:{_INTERPRETER})\s+(?:-c\s+)?[\"']?(?:<\(|\$\(|`)\s*{_FETCH}"
    rf"|\beval\s+[\"']?(?:\$\(|`)\s*{_FETCH}"
    rf"|{_FETCH}[^\n;&|]{{0,200}}(?:&&|;)\s*(?:chmod\s+\S{{1,60}}\s|(?:ba|z)?sh\s|source\s|\.\s|\./)"
    r"|\bexec\([^\n]{0,100}(?:urlopen|requests\.get|httpx\.get)",
    re.IGNORECASE,
)
OBFUSCATED: Final = re.compile(
    rf"base64\s+(?:-d|--decode|-D)[^\n|]{{0,100}}\|\s*(?:{_INTERPRETER})"
    r"|xxd\s+-r[^\n|]{0,100}\|\s*(?:ba|z)?sh\b|\bexec\([^\n]{0,200}(?:b64decode|fromhex|decompress|marshal\.loads|rot13)"
    r"|\beval\([^\n]{0,100}(?:atob|Buffer\.from)\(|-e(?:nc|ncodedcommand)\s+[A-Za-z0-9+/=]{40}"
    r"|(?:\\x[0-9a-f]{2}){12}",
    re.IGNORECASE,
)
SECRETS: Final = re.compile(
    r"(?:~|\$HOME|\$\{HOME\}|%USERPROFILE%|/(?:home|Users)/\w+|/root|expanduser)[^\n]{0,30}(?:\.ssh|\.aws|\.netrc|\.git-credentials|\.kube|\.npmrc|\.pypirc|\.gnupg|\.docker|\.config/(?:gcloud|gh)|\.claude|\.codex|\.gemini)\b"
    r"|\bid_(?:rsa|ed25519|ecdsa)\b|/etc/(?:passwd|shadow)\b|\.git-credentials\b"
    r"|\b(?:printenv|os\.environ|process\.env)\b|(?:^|[\s;|&(`])env\s*(?:[|>)`]|$)|\bexport\s+-p\b|/proc/(?:self|\d+)/environ"
    r"|\$\{?(?:[A-Z0-9]+_)*(?:API_?KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)(?:_[A-Z0-9]+)*\b"
    r"|security\s+find-generic-password|gh\s+auth\s+token|gcloud\s+auth\s+print|aws\s+configure\s+get|169\.254\.169\.254"
    r"|(?:cat|<|@|\s)\s*[\"']?(?:\./)?\.env\b",
    re.MULTILINE,
)
KEY_OF_A_SERVICE: Final = re.compile(
    r"(?:-H|--header)\s*[\"'][^\"'\n]{0,80}\$\{?(?:[A-Z0-9]+_)*(?:API_?KEY|TOKEN|SECRET|PASSWORD)(?:_[A-Z0-9]+)*\}?[\"']"
)
"""A key in a request's own header: what a service that wants it is called with."""
SENDS: Final = re.compile(
    r"\bcurl\b[^\n]{0,400}(?:\s-d\b|\s-F\b|\s-T\b|--data|--form|--upload-file|-X\s*(?:POST|PUT)|\s-H\b|https?://[^\s\"']{0,200}[$`])"
    r"|\bwget\b[^\n]{0,300}(?:--post|--body|--header|https?://[^\s\"']{0,200}[$`])|\b(?:nc|ncat|netcat|socat)\s+[\w.-]"
    r"|\b(?:scp|rsync|sftp|ftp)\s|/dev/tcp/|\b(?:nslookup|dig|host|ping)\s[^\n]{0,80}[$`]"
    r"|invoke-(?:webrequest|restmethod)[^\n]{0,200}-method\s+(?:post|put)|requests\.(?:post|put)\(|httpx\.(?:post|put)\("
    r"|urlopen\([^\n]{0,200}(?:data\s*=|\+)|urllib\.request\.Request\([^\n]{0,200}data|fetch\([^\n]{0,200}(?:POST|body|\$\{|\+)"
    r"|http\.client\.HTTPS?Connection|socket\.create_connection|https?\.request\(",
    re.IGNORECASE,
)
LOOPBACK: Final = re.compile(r"https?://(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|host\.docker\.internal)\b")
PERSISTS: Final = re.compile(
    r">>?\s*[\"']?(?:~|\$HOME|/(?:home|Users)/\w+|/root)/\.(?:bash|zsh|profile|ssh/authorized_keys|config/autostart)|\bcrontab\s+-|authorized_keys"
    r"|launchctl\s+(?:load|bootstrap)|systemctl\s+--user\s+enable|schtasks\s+/create",
    re.IGNORECASE,
)
DESTROYS: Final = re.compile(
    r"\brm\s+-[a-z]*r[a-z]*f?[a-z]*\s+(?:--no-preserve-root\s+)?[\"']?(?:/|~|\$HOME)/?[\"']?(?:\s|$|\*)|\bmkfs\.|>\s*/dev/sd[a-z]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a command does (a few words), how bad that is where it runs by itself, and whether secrets leave."""

    what: str
    severity: Severity
    exfiltrates: bool = False

    @property
    def ordinary(self) -> bool:
        """Whether no pattern spoke."""
        return self.severity <= Severity.LOW

    def verdict(self, otherwise: Verdict) -> Verdict:
        """Exfiltration, or what the place does anyway."""
        return Verdict.EXFILTRATES if self.exfiltrates else otherwise


def judge(command: str) -> Judged:
    """The worst that the words of `command` show."""
    text = command[:LONGEST]
    if SENDS.search(text) and not _stays_here(text):
        beyond = SECRETS.search(KEY_OF_A_SERVICE.sub("", text))
        if beyond is None and SECRETS.search(text):
            return Judged("sends a key of the environment in a request", Severity.MEDIUM)
    else:
        beyond = None
    if beyond:
        return Judged("reads secrets and sends them away", Severity.CRITICAL, exfiltrates=True)
    for pattern, what in _ACTS:
        if pattern.search(text):
            return Judged(what, Severity.HIGH)
    return Judged("runs a command", Severity.LOW)


_ACTS: Final = (
    (OBFUSCATED, "runs code that it hides in an encoding"),
    (FETCH_AND_RUN, "runs code from the network"),
    (DESTROYS, "deletes outside its folder"),
    (PERSISTS, "writes to files that run later"),
)


def _stays_here(text: str) -> bool:
    """Whether every address in it is of this machine."""
    addresses = re.findall(r"https?://[^\s\"'<>|;]{1,200}", text)
    return bool(addresses) and all(LOOPBACK.match(a) for a in addresses)
