"""The console's pages and its API: who asks, what they may, and what they see."""
