"""Grading a class: `python -m utils.grading SUBMISSIONS -o RESULTS --seed S`.

Untrusted notebooks run in a sandbox, answers are compared outside of it. `grade_one` grades one notebook and
keeps no state. The instructor's guide in the book shows the way from release to gradebook.
"""
