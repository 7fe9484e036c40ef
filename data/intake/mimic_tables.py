"""Tables of the official MIMIC-CXR rules: header names, and the studies that they section by hand.

Facts from MIT-LCP/mimic-cxr at 3190146 (txt/section_parser.py, MIT licence), oddities included: `ndication` is an
impression there, and `pfi` a history. Names are lower case.
"""

_SPELLINGS = {
    "impression": (
        "impression", "conclusion", "findings and impression", "findings/impression", "findings/ impression",
        "ndication", "impresson", "imprression", "imoression", "impressoin", "imprssion", "impresion", "imperssion",
        "mpression", "impession",
    ),
    "findings": (
        "findings", "chest, two views", "finding", "findins", "findindgs", "findgings", "findngs", "findnings",
        "finidngs", "reference findings",
    ),
    "comparison": (
        "comparison", "comparisons", "reference exam", "comparison exam", "comparison film", "comparision",
        "comparsion", "comparrison", "comparisions",
    ),
    "indication": ("indication", "reason for examination", "reason for exam", "clinical indication", "idication"),
    "history": ("history", "clinical history", "clinical information", "patient history", "pfi"),
    "examination": ("examination", "exam", "type of examination"),
    "recommendations": ("recommendations", "recommendation(s)", "recommendation"),
    "wet read": ("wet read", "wetread"),
    "preamble": ("preamble",),
    "technique": ("technique",),
    "notification": ("notification",),
    "addendum": ("addendum",),
    "date": ("date",),
    "comment": ("comment",),
}  # fmt: skip

SECTION_OF = {spelling: section for section, spellings in _SPELLINGS.items() for spelling in spellings}

# A header that holds one of these is that section; the first in this order decides.
WITHIN = ("impression", "findings", "history", "comparison", "addendum")

# A header that holds one of these names the examination, and what stands under it is findings.
VIEW_PHRASES = (
    "chest", "portable", "pa and lateral", "lateral and pa", "ap and lateral", "lateral and ap", "frontal and",
    "two views", "frontal view", "pa view", "ap view", "one view", "lateral view", "bone window", "frontal upright",
    "frontal semi-upright", "ribs", "pa and lat",
)  # fmt: skip

# Studies whose conclusion stands under another header: the section that holds it.
MISNAMED = {
    "s50913680": "recommendations", "s59363654": "examination", "s59279892": "technique",
    "s59768032": "recommendations", "s57936451": "indication", "s50058765": "indication", "s53356173": "examination",
    "s53202765": "technique", "s50808053": "technique", "s51966317": "indication", "s50743547": "examination",
    "s56451190": "note", "s59067458": "recommendations", "s59215320": "examination", "s55124749": "indication",
    "s54365831": "indication", "s59087630": "recommendations", "s58157373": "recommendations",
    "s56482935": "recommendations", "s58375018": "recommendations", "s54654948": "indication",
    "s55157853": "examination", "s51491012": "history",
}  # fmt: skip

# Studies whose conclusion is a range of characters of the file's text.
RANGES = {
    "s50525523": (201, 349), "s57564132": (233, 554), "s59982525": (313, 717), "s53488209": (149, 475),
    "s54875119": (234, 988), "s50196495": (59, 399), "s56579911": (59, 218), "s52648681": (292, 631),
    "s59889364": (172, 453), "s53514462": (73, 377), "s59505494": (59, 450), "s53182247": (59, 412),
    "s51410602": (47, 320), "s56412866": (522, 822), "s54986978": (59, 306), "s59003148": (262, 505),
    "s57150433": (61, 394), "s56760320": (219, 457), "s59562049": (158, 348), "s52674888": (145, 296),
    "s55258338": (192, 568), "s59330497": (140, 655), "s52119491": (179, 454),
}  # fmt: skip

# Studies that report nothing of the image at all.
WITHOUT_FINDINGS = frozenset({
    "s58235663", "s50798377", "s54168089", "s53071062", "s56724958", "s54231141", "s53607029", "s52035334",
})  # fmt: skip
