"""How answers are scored: masks (`region`, `boundary`, `clips`), letters (`choice`), a judge's replies
(`judge`), how sure a score is (`intervals`), and objects that are matched first (`matching`).

Pure arithmetic on numpy arrays: no files, no network, no model. Scores are fractions in [0, 1] unless a
function says otherwise. Where the published evaluation and a benchmark's own script differ, both are here
under names that say which is which.
"""
