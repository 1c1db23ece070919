"""Networks in Keras: trunks, prior, MSFNet, the fused model, and the reading of weights."""
