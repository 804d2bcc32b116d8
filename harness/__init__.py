"""The harness: plans cells, trains populations, evaluates them at many lengths, and reports.

The way of the data: suite -> plan -> cells -> groups -> launcher -> records -> table -> report.
"""
