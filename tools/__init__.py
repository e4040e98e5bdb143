"""What maintainers run; nothing installed imports it."""
