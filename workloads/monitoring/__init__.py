"""The loop from reports of windows to trainings: decide, record, alert, and show it over time."""
