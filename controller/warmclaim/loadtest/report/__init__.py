"""Any number of runs on one page: HTML and inline SVG, without scripts and without other files.

Everything is built as a tree of elements, so nothing that a run says (a name, a command, an error)
can become markup.
"""

from warmclaim.loadtest.report.page import written
from warmclaim.loadtest.report.pictures import pictures
from warmclaim.loadtest.report.runs import read

__all__ = ["pictures", "read", "written"]
