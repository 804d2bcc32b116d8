"""The report: tables, plots, one self-contained HTML page, and the tables of the terminal."""
