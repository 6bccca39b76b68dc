"""What a run has met: by class of instruction, ring and vector the endings, by class and ring how
many instructions went before."""

import collections

from . import compare
from .classes import CLASSES, LAST
from .sequence import SMALL, VM

VECTORS = {0: "DE", 1: "DB", 3: "BP", 4: "OF", 5: "BR", 6: "UD", 7: "NM", 8: "DF", 10: "TS", 11: "NP",
           12: "SS", 13: "GP", 14: "PF", 16: "MF", 17: "AC", 19: "XM"}
ELSEWHERE = "elsewhere"  # behind a wild jump
RINGS = ("ring 0", "ring 1", "ring 2", "ring 3")
SIXTEEN = ("16-bit ring 0", "16-bit rings 1 and 2", "16-bit ring 3")
VIRTUAL = "V86 mode"


def column_of(sequence, fields, culprit):
    """The column of the table: the mode in which the sequence ended."""
    if int(fields["flags"], 16) & VM:
        return VIRTUAL
    ring = int(fields["cs"], 16) & 3
    sixteen = culprit.sixteen if culprit else sequence.mode == SMALL
    return SIXTEEN[(ring + 1) // 2] if sixteen else RINGS[ring]


class Coverage:
    def __init__(self):
        self.endings = collections.Counter()
        self.ran = collections.Counter()

    def add(self, sequence, line):
        if line.startswith("!"):
            return
        fields = compare.fields_of(line)
        vector, culprit = int(fields["v"], 16), compare.culprit(sequence, fields)
        column = column_of(sequence, fields, culprit)
        name = culprit.kind if culprit else ELSEWHERE
        self.endings[name, column, VECTORS.get(vector, "INT")] += 1
        index = compare.index_at(sequence, fields)
        for one in sequence.instructions[:index or 0]:
            self.ran[one.kind, column] += 1

    def rows(self, columns):
        """(class, then for each column: instructions that ran, vectors with their counts)"""
        for name in [*CLASSES, *LAST, "end", ELSEWHERE]:
            row = [name]
            for column in columns:
                vectors = sorted((vector, count) for (kind, at, vector), count in self.endings.items()
                                 if kind == name and at == column)
                row.append((self.ran[name, column], vectors))
            yield row

    def text(self):
        met = {column for _, column, _ in self.endings}
        columns = [column for column in (*RINGS, *SIXTEEN, VIRTUAL) if column in met]
        lines = ["| class | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
        for name, *counts in self.rows(columns):
            cells = [f"{ran}; " + " ".join(f"{vector} {count}" for vector, count in vectors)
                     for ran, vectors in counts]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return "\n".join(lines)
