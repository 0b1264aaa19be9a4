"""From photos to a judge's .onnx file. Needs the [train] extra."""
