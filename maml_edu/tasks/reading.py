"""Banks of images that are read from a folder or a torch Dataset: `FewShotImages` is where to call them from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .bank import CHANNELS, Bank, as_array, as_pixels
from .batch import whole

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_DEEP = "it has more than 8 bits per channel: read it yourself, and give FewShotImages an array of floats"


# ------------------------------------------------------------------ a folder


def files_by_class(folder) -> dict[str, list[Path]]:
    """The images in a folder by the name of their class: the path of the sub-folder that they are in.

    Classes and files are in the order of their names; hidden ones are left out. Raises FileNotFoundError if
    there is no such folder, ValueError if an image is in no sub-folder, or if there are no images.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} is not a folder: give one that has a sub-folder per class."
        )
    files: dict[str, list[Path]] = {}
    _collect(root, root, files, ())
    if "." in files:
        raise ValueError(
            f"{files['.'][0]} is in no class: put it into a sub-folder of {root}, one per class."
        )
    if not files:
        raise ValueError(
            f"{root} has no sub-folder with images ({', '.join(sorted(_SUFFIXES))}): each class needs one."
        )
    return dict(sorted(files.items()))


def _collect(folder, root, files, above):
    """Add the images in a folder and below to `files`; above: the folders on the way here."""
    above = (*above, folder.resolve())
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.resolve() not in above:  # a link that leads back would never end
                _collect(path, root, files, above)
        elif path.suffix.lower() in _SUFFIXES:
            files.setdefault(folder.relative_to(root).as_posix(), []).append(path)


def read_files(files: dict[str, list[Path]], size=None, grey: bool = False) -> Bank:
    """The bank of images that `files_by_class` found; arguments and errors as for `FewShotImages.from_folder`."""
    from tqdm import tqdm

    size = _height_and_width(size)
    paths = [path for of_class in files.values() for path in of_class]
    first = _read(paths[0], size, grey)
    images = np.empty((len(paths), *first.shape), np.uint8)
    for number, path in enumerate(tqdm(paths, unit=" images", disable=None)):
        image = _read(path, size, grey)
        if image.shape != first.shape:
            raise ValueError(
                f"images differ in size: {paths[0]} has {first.shape[-2]} × {first.shape[-1]} pixels, {path} "
                f"has {image.shape[-2]} × {image.shape[-1]}. Give size=(height, width) to resize all of them."
            )
        images[number] = image
    return Bank(images, np.array([len(of_class) for of_class in files.values()]), list(files))


def _height_and_width(size):
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"size must be (height, width), or one number for both; got {size!r}.")
    return tuple(whole("size", number) for number in pair)


def _read(path, size, grey):
    """An image file as uint8: (height, width) if grey, else (3, height, width)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)  # as the camera was held
            plain = _on_white(upright).convert("L" if grey else "RGB")
            if size is not None:
                plain = plain.resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(plain)
    except Exception as error:  # Pillow raises all kinds for a file that is cut off or damaged
        raise ValueError(
            f"{path} cannot be read as an image ({error}): replace it, or take it out of the folder."
        ) from error
    return pixels if grey else pixels.transpose(2, 0, 1)


def _on_white(picture):
    """A picture without transparency: what is transparent becomes white."""
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        raise ValueError(_DEEP)
    if "transparency" not in picture.info and not picture.mode.endswith(("A", "a")):
        return picture
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture.convert("RGBA"))
    return paper


# ------------------------------------------------------------------ a torch Dataset


def read_dataset(dataset, channels: str | None = None) -> Bank:
    """The bank of images of a dataset; arguments and errors as for `FewShotImages.from_dataset`."""
    by_label = _images_by_label(dataset, channels)
    labels = sorted(by_label)
    sizes = np.array([len(by_label[label]) for label in labels])
    example = by_label[labels[0]][0]
    images = np.empty((sizes.sum(), *example.shape), example.dtype)
    rows = iter(images)
    for label in labels:  # taken out class by class, so that few images are there twice
        for pixels in by_label.pop(label):
            next(rows)[:] = pixels
    bank = Bank(images, sizes, _class_names(dataset, labels))
    bank.refuse_nan()
    return bank


def _images_by_label(dataset, channels) -> dict[int, list[np.ndarray]]:
    """All images of a dataset, of one shape and kind: (height, width) or (channels, height, width)."""
    from tqdm import tqdm

    count, targets = _length(dataset), _targets(dataset)
    by_label: dict[int, list[np.ndarray]] = {}
    first = ""
    for number in tqdm(range(count), unit=" images", disable=None):
        image, label = _item(dataset, number, targets)
        try:
            pixels = np.array(as_pixels(_channels_first(image, channels)))
        except ValueError as error:
            raise ValueError(f"item {number} of the dataset: {error}") from None
        kind = f"{pixels.dtype} of shape {pixels.shape}"
        first = first or kind
        if kind != first:
            raise ValueError(
                f"images of the dataset differ: item 0 is {first}, item {number} is {kind}. Give the dataset "
                f"a transform that makes them alike."
            )
        by_label.setdefault(label, []).append(pixels)
    return by_label


def _length(dataset) -> int:
    """How many items there are; ValueError unless they can be asked for one by one."""
    try:
        count = len(dataset)
    except (TypeError, NotImplementedError):
        count = None
    if count is None or not hasattr(dataset, "__getitem__"):
        raise ValueError(
            f"from_dataset needs a length and items by number, len(dataset) and dataset[i], which "
            f"{type(dataset).__name__} does not have. Of an iterable dataset collect what you need first: "
            f"list(itertools.islice(dataset, 10_000)); of a DataLoader give its .dataset."
        )
    if count == 0:
        raise ValueError("the dataset is empty.")
    return count


def _targets(dataset):
    """The labels that a dataset, or the one that it is a subset of, keeps in a list; None if it does not."""
    for name in ("targets", "labels"):
        if hasattr(dataset, name):
            return getattr(dataset, name)
    if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):  # torch.utils.data.Subset
        targets = _targets(dataset.dataset)
        return None if targets is None else [targets[int(index)] for index in dataset.indices]
    return None


def _item(dataset, number, targets):
    """(image, label) number `number` of a dataset."""
    try:
        item = dataset[number]
    except NotImplementedError:
        raise ValueError(
            f"{type(dataset).__name__} has no items by number, as iterable datasets have none: collect what you "
            f"need first, list(itertools.islice(dataset, 10_000))."
        ) from None
    pair = isinstance(item, (tuple, list)) and len(item) == 2
    label = _whole_number(item[1]) if pair else None
    if label is None and targets is not None and len(targets) == len(dataset):
        label = _whole_number(targets[number])
    if label is None:
        what = f"(image, {item[1]!r})" if pair else f"a {type(item).__name__}"
        raise ValueError(
            f"item {number} of the dataset must be a pair (image, label), the label a whole number; it is {what}."
        )
    return item[0] if pair else item, label


def _whole_number(value) -> int | None:
    """A label as an int; None if it is something else."""
    try:
        array = as_array(value)
    except (TypeError, ValueError):
        return None
    return int(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "biu" else None


def _channels_first(image, channels):
    """An image of a dataset as an array (height, width) or (channels, height, width)."""
    usual = "first" if hasattr(image, "detach") else "last"
    if hasattr(image, "convert") and hasattr(image, "mode"):  # one of Pillow's
        image = _plain(image)
    array = as_array(image)
    if array.ndim == 2:
        return array
    if array.ndim != 3:
        raise ValueError(
            f"an image has the axes (height, width), and perhaps one of channels; got shape {array.shape}."
        )
    if channels not in (None, "first", "last"):
        raise ValueError(f'channels must be "first" or "last"; got {channels!r}.')
    if channels is None and array.shape[0 if usual == "first" else 2] not in CHANNELS:
        raise ValueError(
            f'its image has shape {array.shape}, and channels are expected {usual}. Say channels="first" or '
            f'channels="last" if that is meant.'
        )
    return array if (channels or usual) == "first" else array.transpose(2, 0, 1)


def _plain(picture):
    """A picture whose pixels are ink, shades of grey or colours, and no numbers of a palette."""
    if picture.mode.startswith(("I", "F")):
        raise ValueError(_DEEP)
    return picture if picture.mode in ("1", "L", "RGB", "RGBA") else picture.convert("RGB")


def _class_names(dataset, labels):
    """What the labels mean, from `dataset.classes` if that is a list of it."""
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    classes = getattr(dataset, "classes", None)
    if isinstance(classes, (list, tuple)) and 0 <= labels[0] and labels[-1] < len(classes):
        return [str(classes[label]) for label in labels]
    return [str(label) for label in labels]
