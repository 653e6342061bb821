"""`python -m serving` runs `segue serve` without the other commands, for infra validation and benchmarks."""

from segue.entry import enter
from serving.command import serve

if __name__ == "__main__":
    enter(serve)
