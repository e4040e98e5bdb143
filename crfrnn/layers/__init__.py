"""The CRF in Keras."""
