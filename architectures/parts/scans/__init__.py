"""Linear recurrences, one kind a file, each as a loop that reads like its equation and in forms that need fewer steps.

``diagonal``: every channel of the state decays by itself (S4D, LRU, Mamba). ``decay``: the state is a matrix, a sum of
outer products that decays along its rows (RetNet, GLA, Mamba-2, RWKV-6). ``delta``: such a state is corrected before it
is added to (DeltaNet); ``dplr``: both, with a decay a row (RWKV-7).

All forms multiply decays and never divide by them, so that no decay is too strong for them.
"""
