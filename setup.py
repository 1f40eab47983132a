"""Packaging of koala_face; dependencies and extras come from requirements.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def read_requirements():
    """The requirements above the first `[section]`, and those of each section."""
    sections = {"": []}
    current = ""
    for line in (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if heading := re.fullmatch(r"\[(.+)\]", line):
            current = heading[1]
            sections[current] = []
        elif line:
            sections[current].append(line)
    return sections.pop(""), sections


install_requires, extras_require = read_requirements()

setup(
    name="koala_face",
    version=re.search(
        r'__version__ = "(.+)"', (HERE / "koala_face/__init__.py").read_text(encoding="utf-8")
    )[1],
    description="Grayscale portrait colorization with CNNs and a pretrained face descriptor",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE", "requirements.txt"],  # the sdist needs requirements.txt too
    packages=find_packages(include=["koala_face", "koala_face.*"]),
    package_data={"koala_face": ["py.typed", "*.pyi", "*/*.pyi", "model_files/pretrained/*.h5"]},
    python_requires=">=3.10,<3.13",
    install_requires=install_requires,
    extras_require=extras_require,
)
