"""The gateway: the HTTP application over the stages of `surfaces.engine`, without TensorFlow."""
