"""`python -m serving`: the model server without the rest of `segue`, for infra validation and benchmarks."""

from segue.entry import enter
from serving.command import serve

if __name__ == "__main__":
    enter(serve)
