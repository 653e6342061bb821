"""Home pages: shelves, their layout and what stands on them; pure functions over numpy."""
