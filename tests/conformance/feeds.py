"""Real inputs of the real networks, preprocessed as the networks' authors did."""

import numpy as np


def _npz(path, *names):
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[name] for name in names]


def keywords(data):
    """int8 [500, 49, 10, 1] as it is, and the labels."""
    return _npz(data / "inputs/kws_speech_commands500.npz", "features", "labels")


def cifar_int8(data):
    """int8 [200, 32, 32, 3] = pixel - 128, and the labels."""
    images, labels = _npz(data / "inputs/cifar10_jpeg200.npz", "images", "labels")
    return (images.astype(np.int16) - 128).astype(np.int8), labels


def cifar_float(data):
    """float32 [200, 3, 32, 32], normalized as torchvision does, and the labels."""
    images, labels = _npz(data / "inputs/cifar10_jpeg200.npz", "images", "labels")
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(((images / np.float32(255) - mean) / deviation).transpose(0, 3, 1, 2)), labels


def photos_int8(data):
    """int8 [21, 96, 96, 3] = pixel - 128."""
    (images,) = _npz(data / "inputs/photos_96.npz", "images")
    return (images.astype(np.int16) - 128).astype(np.int8)


def imagenet_uint8(data, size):
    """uint8 [100, size, size, 3], every so-many-th pixel of the 224 x 224 pictures, and the labels."""
    images, labels = _npz(data / "inputs/imagenet_eval100_224.npz", "images", "labels")
    index = np.arange(size) * 224 // size
    return np.ascontiguousarray(images[:, index][:, :, index]), labels


def imagenet_float(data):
    """float32 [100, 3, 224, 224], normalized as torchvision does, and the labels."""
    images, labels = _npz(data / "inputs/imagenet_eval100_224.npz", "images", "labels")
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(((images / np.float32(255) - mean) / deviation).transpose(0, 3, 1, 2)), labels
