"""Recommendations as an HTML page for people: the page of `segue recommend --page`."""
