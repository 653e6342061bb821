"""The model server (TF Serving's protocol), its client, and the model store it serves."""
