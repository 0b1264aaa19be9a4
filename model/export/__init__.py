"""From a checkpoint to one .onnx file that keeps the contract of model/judge.py. Needs the [train] extra."""
