"""Which CRF."""
