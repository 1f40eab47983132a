"""The device that trains: whether it is there, and in which arithmetic it is quick."""

import logging

import tensorflow as tf

from koala_face.foundation.errors import KoalaFaceError

log = logging.getLogger(__name__)

# NVIDIA's cards multiply bfloat16 since Ampere.
BFLOAT16_CAPABILITY = (8, 0)


class DeviceError(KoalaFaceError):
    """A device that this machine has not."""


def find_device(name: str | None) -> str:
    """The device that training takes: `name`, such as gpu:1, or without one the best.

    TensorFlow itself would quietly take another one for a card that is not there.

    Raises:
        DeviceError: names the devices that are there.
    """
    logical = tf.config.list_logical_devices()
    devices = [device.name.removeprefix("/device:").lower() for device in logical]
    if name is None:
        return next((device for device in devices if device.startswith("gpu")), devices[0])
    asked = name.lower().rpartition("/")[2].removeprefix("device:")
    if asked not in devices and f"{asked}:0" not in devices:
        raise DeviceError(f"Expected a device out of {', '.join(devices)}. Received: {name}.")
    return name


def find_precision(mixed: bool) -> str:
    """The dtype policy: bfloat16 arithmetic if it is asked for and every card has it."""
    if not mixed:
        return "float32"
    cards = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(card) for card in cards]
    capabilities = [card.get("compute_capability", (0, 0)) for card in details]
    if capabilities and min(capabilities) >= BFLOAT16_CAPABILITY:
        return "mixed_bfloat16"
    log.warning(
        "--mixed-precision needs a card of compute capability 8.0 or higher. Found: %s. "
        "Training in float32.",
        [card.get("device_name", "unknown card") for card in details] or "no card",
    )
    return "float32"
