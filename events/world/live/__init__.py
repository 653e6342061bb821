"""The listeners of a world of version 2, who answer any page: moods, hours, examination, responses and true values."""
