"""One module per revision. What is released is not changed any more: what follows is a revision of its own."""
