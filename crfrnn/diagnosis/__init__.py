"""What a CRF did."""
