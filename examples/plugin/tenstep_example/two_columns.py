"""two-columns: prompt and target as CSV, for a spreadsheet."""

import csv
import io

from tenstep.data.exporter import by_split

PAIRS = "none"


def write(rows, folder):
    """SPLIT.csv."""
    for split, some in by_split(rows):
        text = io.StringIO()
        csv.writer(text).writerows([("prompt", "target"), *((row.prompt, row.target) for row in some)])
        folder.text(f"{split}.csv", text.getvalue())
