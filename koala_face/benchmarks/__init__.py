"""The rows of `python -m koala_face.benchmark`: each measures one thing beside its partner."""
