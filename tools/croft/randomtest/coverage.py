"""What a run has met: by class of instruction, ring and vector the endings, by class and ring how
many instructions went before."""

import collections

from . import compare
from .classes import CLASSES, LAST

VECTORS = {0: "DE", 1: "DB", 3: "BP", 4: "OF", 5: "BR", 6: "UD", 7: "NM", 8: "DF", 10: "TS", 11: "NP",
           12: "SS", 13: "GP", 14: "PF", 16: "MF", 17: "AC", 19: "XM"}
ELSEWHERE = "elsewhere"  # behind a wild jump


class Coverage:
    def __init__(self):
        self.endings = collections.Counter()
        self.ran = collections.Counter()

    def add(self, sequence, line):
        if line.startswith("!"):
            return
        fields = compare.fields_of(line)
        vector, ring = int(fields["v"], 16), int(fields["cs"], 16) & 3
        culprit = compare.culprit(sequence, fields)
        name = culprit.kind if culprit else ELSEWHERE
        self.endings[name, ring, VECTORS.get(vector, "INT")] += 1
        index = compare.index_at(sequence, int(fields["eip"], 16))
        for one in sequence.instructions[:index or 0]:
            self.ran[one.kind, ring] += 1

    def rows(self):
        """(class, then for each ring: instructions that ran, vectors with their counts)"""
        for name in [*CLASSES, *LAST, "end", ELSEWHERE]:
            row = [name]
            for ring in range(4):
                vectors = sorted((vector, count) for (kind, at, vector), count in self.endings.items()
                                 if kind == name and at == ring)
                row.append((self.ran[name, ring], vectors))
            yield row

    def text(self):
        lines = ["| class | ring 0 | ring 1 | ring 2 | ring 3 |", "| --- | --- | --- | --- | --- |"]
        for name, *rings in self.rows():
            cells = [f"{ran}; " + " ".join(f"{vector} {count}" for vector, count in vectors)
                     for ran, vectors in rings]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return "\n".join(lines)
