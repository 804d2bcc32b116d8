"""The report: tables, plots, one self-contained HTML page, and the tables of the terminal."""

PAGE = "report.html"
"""The page in the folder of a report."""
