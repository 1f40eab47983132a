"""`python -m koala_face.compare`: networks and descriptors side by side (Tables V and VI)."""
