"""Analysis of records: result tables as DataFrames, statistics over seeds, and attention maps."""
