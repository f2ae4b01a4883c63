"""A family as a page for people (``report.html``, one file that needs nothing else) and as a table
of plain text.

``write_report`` puts the page into the family's folder, ``report_section`` is a short form of it
for another page; ``markdown`` returns the table for a terminal or a README. ``limits`` says what
was asked, ``pareto`` what is drawn, ``record`` what of a family's record is shown; pages, charts
and tables themselves are those of ``handheld.reports``.
"""

from handheld.compress.report.page import report_section, write_report
from handheld.compress.report.table import markdown

__all__ = ["markdown", "report_section", "write_report"]
