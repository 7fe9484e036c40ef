"""Which column of a table is what: the mapping for `csv` and `hf`, as YAML or as the defaults.

    report: text                 the whole report; or, instead of it, sections:
    findings: findings           impression, technique, view, indication, comparison and history likewise
    images: [frontal, lateral]   one column, or several; a cell may hold several paths, separated by `|`
    id: uid

A column that is named must be there. Of the defaults, those that are there are used.
"""

from pydantic import Field

from ..schemas.base import Noun

SECTIONS = ("technique", "view", "findings", "impression", "indication", "comparison", "history")


class Columns(Noun):
    """The mapping: what a study needs on the left, the table's column on the right."""

    id: str = Field("id", description="Unique in the table.")
    patient_id: str = Field("patient_id", description="Without it each study is a patient of its own.")
    report: str = Field("report", description="The whole report; it is searched for sections.")
    technique: str = "technique"
    view: str = "view"
    findings: str = "findings"
    impression: str = "impression"
    indication: str = "indication"
    comparison: str = "comparison"
    history: str = "history"
    images: str | tuple[str, ...] = Field("image", description="Paths; in hf also image features with bytes.")
    views: str = Field("views", description="View of each image in its order, separated by `|`.")
    split: str = Field("split", description="The source's own split.")

    @property
    def image_columns(self) -> tuple[str, ...]:
        """The columns that hold images."""
        return (self.images,) if isinstance(self.images, str) else self.images

    def named(self) -> set[str]:
        """Columns that were named explicitly, and must therefore be there."""
        asked = [getattr(self, name) for name in self.model_fields_set]
        return {column for value in asked for column in ((value,) if isinstance(value, str) else value)}

    def every(self) -> tuple[str, ...]:
        """All columns that are read, if they are there; no other column is."""
        single = [getattr(self, name) for name in type(self).model_fields if name != "images"]
        return (*single, *self.image_columns)
