"""A network of drawn people whose taste is known, to check the whole chain against the truth."""
