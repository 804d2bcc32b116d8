"""What runs leave on disk: one folder a run, one folder a cell, plain files that survive a crash.

::

    results/<run>/
        run.json                        the suite and the plan's cells
        cells/<id>/weights-<step>.safetensors
        cells/<id>/training.json        written last and atomically: its existence means done
        cells/<id>/evaluations.json     grows length by length
        cells/<id>/failure.json         instead of training.json where a model did not finish
        snapshots/<group>.snapshot      a training that takes longer, every few minutes; gone when its records are there
"""
