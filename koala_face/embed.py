"""`python -m koala_face.embed`: compute a folder's embeddings, and nothing else (Section II.C)."""

import dataclasses
import logging
from pathlib import Path

from koala_face.backbones import CHOICES, Backbone, find_backbone, locate_weights
from koala_face.foundation.commands import parse_config, run, setting
from koala_face.photographs.reading import find_photographs

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.embed")


@dataclasses.dataclass(frozen=True)
class EmbedConfig:
    """Compute each portrait's vector from a descriptor into an HDF5 file.

    Vectors that the file holds already are kept: a stopped run goes on where it was.
    """

    data: str = setting("data/helen/train", "folder of portraits, searched recursively")
    backbone: str = setting("vggface", f"descriptor: {CHOICES}")  # II.C
    layer: str | None = setting(None, "layer of the descriptor, such as fc7 of vggface")
    weights: str | None = setting(None, "weights file of the descriptor")
    output: str | None = setting(None, "the HDF5 file (default: the one in --cache)")
    cache: str = setting("data/cache", "folder where training looks for embeddings")
    rehash: bool = setting(False, "read photographs whose size and time stamps did not change, too")
    strict: bool = setting(False, "stop at unreadable photographs instead of leaving them out")
    batch_size: int = setting(32, "portraits that enter the network at once")  # our choice


def embed(config: EmbedConfig) -> Path | None:
    """Embed the folder of `config`; gives the file, None for the descriptor `none`."""
    backbone = find_backbone(config.backbone, config.layer)
    # Both before TensorFlow loads: what is missing shows at once.
    find_photographs(config.data)
    locate_weights(backbone, config.weights)
    if backbone.weights_file is None and backbone.head is None:
        log.info("The descriptor none gives zeros: nothing to compute, no file to write.")
        return None
    from koala_face.data.embeddings import embed_folder
    from koala_face.data.portraits import embedding_file, hashes_file

    file = Path(config.output or embedding_file(config.cache, config.data, backbone))
    # Training's own, where it looks for the vectors too.
    known = hashes_file(file.parent if config.output else config.cache, config.data)
    how = {"strict": config.strict, "known": known, "rehash": config.rehash}
    embedded = embed_folder(config.data, backbone, file, config.weights, config.batch_size, **how)
    log.info("%d vectors of %s are in %s", len(embedded.paths), name_in_full(backbone), file)
    return file


def name_in_full(backbone: Backbone) -> str:
    return f"{backbone.name} ({backbone.layer}, {backbone.embedding_dim} values)"


def main(argv=None) -> None:
    embed(parse_config(EmbedConfig, argv, "embed"))


if __name__ == "__main__":
    run(main)
