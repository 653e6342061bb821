"""Now Playing: what plays next in a session as it happens, one concept a file."""
