"""Sound to transcripts, on the listening thread."""
