"""The command `python -m utils.grading`; see utils/grading/run.py."""

from utils.grading.run import main

if __name__ == "__main__":
    raise SystemExit(main())
