"""How results are shown: figures, the report page, the terminal."""
