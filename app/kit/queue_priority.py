"""The priority of queued work: jobs, prints, transfers. A higher number is first; forms show four of them as words.

It is not the Priority (0000,0700) of a DIMSE request (PS3.7 E.1: 0 medium, 1 high, 2 low), which app/network/commands.py
names, and not that of a process (priority.py)."""

from app.kit.phrases import Phrase, phrase

LOWEST, LOW, NORMAL, HIGH, URGENT = 0, 2, 5, 7, 9
HIGHEST = URGENT
WORDS: tuple[tuple[int, Phrase], ...] = (
    (LOW, phrase("Low")),
    (NORMAL, phrase("Normal")),
    (HIGH, phrase("High")),
    (URGENT, phrase("Urgent")),
)
MEANING = "Queue priority, 0 to 9; a higher number is first (2 low, 5 normal, 7 high, 9 urgent)"
