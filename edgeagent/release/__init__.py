"""The publisher's side of signed updates: keys, roles, releases, and a folder that any web server can serve."""
