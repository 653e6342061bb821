"""`tf.function` without AutoGraph.

The models branch on tensors with `tf.where` and `tf.while_loop` only, so AutoGraph, which rewrites the Python code of
every layer, has nothing to do. Without it, `train-ranking` on the nano world takes 20 s instead of 26 s, with the same
figures (2 cores of an AMD EPYC without AVX-512, 2026-11-28). Training steps are traced with AutoGraph, because the
retrieval task of TensorFlow Recommenders needs it.
"""

from functools import partial

import tensorflow as tf

graph_function = partial(tf.function, autograph=False)
