"""What results mean: pure functions of data frames, and the one reader that makes the frames."""
