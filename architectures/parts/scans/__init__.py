"""Linear recurrences, one kind in each file, as a loop that follows the equation and in forms with fewer steps.

``diagonal``: every channel of the state decays independently (S4D, LRU, Mamba). ``decay``: the state is a matrix, a sum
of outer products whose rows decay (RetNet, GLA, Mamba-2, RWKV-6). ``delta``: such a state is corrected before each
addition (DeltaNet). ``dplr``: both, with one decay for each row (RWKV-7).

On a CPU some forms have gradients by hand: ``stepwise`` runs a loop in place, with the steps in ``rules``;
``decay_blocks`` and ``delta_blocks`` run chunks of a few rows at a time, with helpers in ``rows``.

``final_state`` reads the last state out of any form whose state is a matrix.

All forms multiply decays and never divide by them, so that decays close to zero are safe.
"""
