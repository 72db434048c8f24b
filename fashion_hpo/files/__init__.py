"""How a file is written whole, and how a write is announced to the tests that kill at it."""
