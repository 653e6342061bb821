"""Run signatures of SavedModels as TF Serving does, in an environment that has TensorFlow alone.

    python saved_model_values.py REQUESTS ANSWERS

REQUESTS and ANSWERS are pickles: a list of (folder of a SavedModel, signature, input name -> array), and the version of
TensorFlow with a list of output name -> array.
"""

import pickle
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import tensorflow as tf

requests, answers = map(Path, sys.argv[1:])
values = []
for folder, calls in groupby(pickle.loads(requests.read_bytes()), itemgetter(0)):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
        for _, name, inputs in calls:
            feeds = {signatures[name].inputs[key].name: value for key, value in inputs.items()}
            values.append(session.run({key: info.name for key, info in signatures[name].outputs.items()}, feeds))
answers.write_bytes(pickle.dumps((tf.__version__, values)))
