"""tab: a tab-separated file of id, patient and report; text only.

tenstep ingest tab reports.tsv --text-only --out studies
"""

from tenstep.data.intake.assemble import Draft, assemble, rejected
from tenstep.data.intake.reports import Refusal
from tenstep.schemas.errors import InputError


def read(path, options):
    """Yield a study or a rejected row for each line; raise only if nothing can be read at all."""
    if not path.is_file():
        raise InputError("there is no such file", file=path)
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        where = f"{path.name} row {number}"
        cells = line.split("\t")
        if len(cells) != 3:
            yield rejected("tab", where, Refusal("columns", f"has {len(cells)} columns, not 3"))
            continue
        name, patient, report = cells
        draft = Draft(
            source="tab",
            native_id=name,
            where=where,
            text=report,
            data_class=options.data_class,  # restricted unless the user says otherwise
            root=path.parent,
            patient_id=f"tab/{patient}",
        )
        # finds sections, takes steps off the report, and rejects what cannot be a study, with a reason
        yield from assemble(draft, options, options.form or "verbatim")
