"""How each kind of value is read from a file: ids, numbers, labels, lists, dates and times."""
