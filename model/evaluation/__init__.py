"""How good a judge is, always measured on its .onnx file. Needs the [train] extra."""
