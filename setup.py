"""Packaging of koala_face: what it needs to run stands in requirements.txt, the extras here."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def read_requirements() -> list[str]:
    """requirements.txt without its reasons."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines) if line]


def read_version() -> str:
    text = (HERE / "koala_face/__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+)"', text)[1]


def describe() -> str:
    """The README as it reads away from this repository: no pictures, no links to its files."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->\n", "", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)\n*", "", text)
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)


EXTRAS = {
    "tests": [
        "pytest>=8,<10",  # runs the tests
        "pytest-xdist>=3.6,<4",  # in two processes: 7 minutes instead of 13
        "ruff>=0.12,<1",  # checks and formats
        "mypy>=1.14,<3",  # checks the types of the public names
        "pillow-heif>=0.22,<2",  # opens the photographs of phones
        "scikit-learn>=1.2,<2",  # `tune`, see below
    ],
    "tune": ["scikit-learn>=1.2,<2"],  # `koala-face tune` finds clusters of colours
    "web": [
        "starlette>=0.40,<2",  # `koala-face web`: which answer belongs to which address
        "uvicorn>=0.30,<1",  # serves it
    ],
    "browser": [
        "playwright>=1.48,<2",  # the tests of the page drive Chromium through it
        "axe-playwright-python>=0.1.4,<1",  # looks for what keeps people from using the page
    ],
    "cluster": [
        "distributed>=2024.8",  # Dask: shares an archive's photographs out to workers
        "universal-pathlib>=0.2.6,<1",  # paths at fsspec's addresses, such as s3://bucket/scans
        "s3fs>=2024.6",  # opens s3://
    ],
    "store": ["moto[server]>=5,<6"],  # the tests' S3 server
    "heic": ["pillow-heif>=0.22,<2"],  # opens the photographs of phones
    "tensorboard": ["tensorboard>=2.10"],  # draws the log of `train --tensorboard`
    "notebooks": [
        "jupyterlab>=4.1,<5",  # opens and runs the notebooks, for readers
        "ipykernel>=6.29,<8",  # runs their cells
        "nbclient>=0.10,<1",  # the tests run each notebook through it
        "nbformat>=5.9,<6",  # reads them for nbclient
    ],
    "k80": [
        # Built on CUDA 11.2; newer builds pass Kepler cards by.
        'tensorflow==2.10.1; python_version < "3.11"',
        "numpy>=1.23,<2",  # TensorFlow 2.10 was built on NumPy 1
    ],
    "export": [
        'tf2onnx>=1.17,<2; python_version >= "3.11"',  # writes ONNX
        'onnx>=1.17,<2; python_version >= "3.11"',  # what tf2onnx writes with
        'onnxruntime>=1.20,<2; python_version >= "3.11"',  # runs ONNX
        'ai-edge-litert>=1.2,<3; python_version >= "3.11"',  # runs TensorFlow Lite (LiteRT)
    ],
    "reach": [
        # The backends on which Keras 3 opens our files.
        'jax>=0.4.30,<1; python_version >= "3.11"',
        'torch==2.13.0; python_version >= "3.11"',
    ],
}

setup(
    name="koala_face",
    version=read_version(),
    description="Colour for grayscale portraits: a CNN and a pretrained face descriptor, in Keras",
    long_description=describe(),
    long_description_content_type="text/markdown",
    author="The koala_face developers",
    license_expression="MIT",
    license_files=["LICENSE", "requirements.txt"],  # the sdist needs requirements.txt too
    project_urls={"Deep Koalarization": "https://arxiv.org/abs/1712.03400"},
    keywords=["colorization", "portraits", "grayscale", "faces", "Keras", "TensorFlow", "CIELAB"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Intended Audience :: End Users/Desktop",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Graphics",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["koala_face", "koala_face.*"]),
    package_data={
        "koala_face": [
            "py.typed",
            "*.pyi",
            "*/*.pyi",
            "*/*.md",
            "web/page.*",
            "web/icon.svg",
            "*/*/*.h5",
            "*/*/*.md",
        ]
    },
    python_requires=">=3.10,<3.14",
    install_requires=read_requirements(),
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["koala-face = koala_face.__main__:main"]},
)
