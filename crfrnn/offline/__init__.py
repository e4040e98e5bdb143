"""The CRF on arrays."""
