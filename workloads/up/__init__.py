"""`segue up`: the servers that a person needs to see Segue work, and how processes of servers are run."""
