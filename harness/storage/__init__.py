"""Records on disk: one folder for each run, with a folder for each cell; all files survive a crash.

::

    results/<run>/
        run.json                               the suite and the ids of the plan's cells
        cells/<id>/weights-<step>.safetensors  a checkpoint: weights that are evaluated
        cells/<id>/training.json               written last and atomically; a cell with this file is trained
        cells/<id>/evaluations.jsonl           one line is added after each length
        cells/<id>/failure.json                written instead of training.json if a model did not finish
        snapshots/<group>.snapshot             resumable state of a training; removed when its records are written
        records.jsonl.gz                       the records of a packed run, instead of the JSON files in cells/
"""
