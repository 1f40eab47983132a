"""Model files with first weights and the descriptor `none`, for the tests of the commands."""

from koala_face import models
from koala_face.backbones import find_backbone
from koala_face.model_files import files


def save_untrained(path, training=None, size=64, network="koala_face"):
    """Write a network, of Tables I-III or another, at `size` that nobody trained; gives `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    none = find_backbone("none")
    description = files.ModelDescription(
        *("none", none.layer, none.preprocessing, none.embedding_dim, size),
        network=network,
        training=training or {},
    )
    model = models.build_colorizer(none.embedding_dim, size, network=network)
    files.save_model(model, path, description)
    return path
