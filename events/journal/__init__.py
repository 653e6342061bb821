"""The journal: what was shown, written when it is decided, and what listeners did with it."""
