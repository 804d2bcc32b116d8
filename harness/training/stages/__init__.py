"""How the models of a population learn in each stage of a pipeline; one module for each kind of stage.

:mod:`harness.config.stages` has their settings. ``base.py`` has what all kinds share, ``answers.py`` the answers of a
model to new questions. The trainer asks the current stage for the batch of each step and for its loss.
"""
