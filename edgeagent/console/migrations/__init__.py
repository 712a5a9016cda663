"""How the console's tables came to be, revision by revision. Read by alembic."""
