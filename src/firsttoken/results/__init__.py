"""Run folders: written whole, opened with SQL, compared."""
