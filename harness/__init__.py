"""The harness: plans cells, trains populations, evaluates them at many lengths, and reports.

Data flow: suite -> plan -> cells -> groups -> jobs -> records -> tables -> report.
"""
