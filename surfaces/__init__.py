"""The request path: from a listener's request to the list that is shown, one stage a file."""
