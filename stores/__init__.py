"""Where state lies: the settings of every store, and the object store that a cluster's steps share."""
