"""Settings of every test run.

KERAS_BACKEND=tensorflow|jax|torch picks the backend (default tensorflow). CRFRNN_REQUIRE_NATIVE=1
makes a missing native library a failure instead of a skip; CI sets it.
"""

import os

# Before anything imports Keras or TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
