"""Roll-outs measured in a world without models: who is taken back, who is promoted, and who saw a worse model."""
