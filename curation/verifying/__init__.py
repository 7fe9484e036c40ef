"""Verifying: a second model checks a trace's claims against the reference, and how far it may be trusted with that.

`labelled.jsonl` is the labelled set on which a verifier is calibrated: 100 fictional reports, each with one good trace
of ten steps and one bad trace, which is the good one with one thing made false. Fields: `id`, `view`, `report`,
`steps`, `good`, `family` (what kind of thing was made false), `wrong_step` (1-10; none where something is missing
rather than false) and `note`. The studies are invented and written for this project, without a look at the rules' word
lists. It is research data under this package's licence, Apache-2.0; it is no medical advice and describes no patient.
"""
