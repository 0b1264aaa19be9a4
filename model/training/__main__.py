"""`python -m model.training` is `deepselfie model train`, in the form that torchrun starts."""

import sys

from model.training.command import train

if __name__ == "__main__":
    sys.exit(train(sys.argv[1:]))
