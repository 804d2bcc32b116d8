"""What architectures are compared on: tasks as plain torch functions on token tensors.

Every task is one file in a folder named for what is computed. Nothing here knows of architectures or of the harness.
"""
