"""What the package costs, beside the ancestors' way: `python -m koala_face.benchmark` measures a
row at a time, each in one run with its partner.
"""
