"""Banks of images from a folder of classes and from a torch Dataset: right, or refused with the file or item."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from maml_edu.tasks import FewShotImages

FEW = {"ways": 2, "shots": 1, "queries": 1}


def noise(height=6, width=5, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two classes, of two and three images in colour, and things that are no images."""
    root = tmp_path / "images"
    for name, count in (("dog", 2), ("cat", 3)):
        for n in range(count):
            write(root / name / f"{n}.png", noise(seed=10 * count + n))
    (root / "README.txt").write_text("not an image")
    (root / "cat" / ".hidden.png").write_text("not an image")
    (root / ".ipynb_checkpoints").mkdir()
    write(root / ".ipynb_checkpoints" / "cat.png", noise())
    (root / "empty").mkdir()
    return root


# ------------------------------------------------------------------ a folder


def test_a_folder_of_classes_is_a_bank_in_the_order_of_names(folder):
    family = FewShotImages.from_folder(folder, **FEW)
    assert family.names == ["cat", "dog"] and family.sizes.tolist() == [3, 2]
    assert family.images.dtype == np.uint8
    for label, name in enumerate(family.names):
        for n, image in enumerate(family.bank[label]):
            expected = np.asarray(Image.open(folder / name / f"{n}.png"))
            np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))
    batch = family.sample(np.random.default_rng(0), 3)
    assert batch.support_x.shape == (3, 2, 3, 6, 5) and batch.support_x.max() <= 1


def test_nested_folders_are_classes_called_by_their_path(tmp_path):
    for name in ("Greek/character02", "Greek/character10", "Latin/character01"):
        for n in range(2):
            write(tmp_path / name / f"{n}.PNG", noise(seed=n))
    family = FewShotImages.from_folder(str(tmp_path), 3, 1, 1)
    assert family.names == ["Greek/character02", "Greek/character10", "Latin/character01"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_but_not_in_circles(folder):
    (folder / "cat" / "again").symlink_to(folder)
    (folder / "wolf").symlink_to(folder / "dog")
    assert FewShotImages.from_folder(folder, **FEW).names == ["cat", "dog", "wolf"]


def test_size_resizes_and_grey_takes_the_colour_away(folder):
    write(folder / "dog" / "large.jpg", noise(60, 40))
    for size, shape in (((8, 7), (8, 7)), (9, (9, 9))):
        family = FewShotImages.from_folder(folder, **FEW, size=size, grey=True)
        assert family.images.shape == (6, *shape)
        assert family.sample(np.random.default_rng(0), 1).support_x.shape == (1, 2, 1, *shape)
    assert FewShotImages.from_folder(folder, **FEW, size=4, rotations=True).images.shape == (
        24,
        3,
        4,
        4,
    )


def test_images_of_unequal_size_are_named_with_what_to_do(folder):
    write(folder / "dog" / "large.jpg", noise(60, 40))
    with pytest.raises(
        ValueError, match=r"cat.0.png has 6 × 5 pixels, .*large.jpg has 60 × 40. Give size="
    ):
        FewShotImages.from_folder(folder, **FEW)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_a_picture_of_any_kind_becomes_the_colours_that_one_sees(folder, mode):
    name = "x.tif" if mode == "CMYK" else "x.png"
    picture = Image.fromarray(noise()).convert(mode)
    picture.save(folder / "dog" / name)
    image = FewShotImages.from_folder(folder, **FEW).bank[1][2]
    np.testing.assert_array_equal(image, np.asarray(picture.convert("RGB")).transpose(2, 0, 1))


def test_what_is_transparent_is_white(folder):
    pixels = np.zeros((6, 5, 4), np.uint8)
    pixels[2, 3] = (10, 20, 30, 255)
    write(folder / "dog" / "x.png", pixels)
    palette = Image.new("P", (5, 6), 7)
    palette.putpalette([0] * 768)
    palette.save(folder / "dog" / "y.png", transparency=7)
    image, all_transparent = FewShotImages.from_folder(folder, **FEW).bank[1][2:]
    assert image[:, 2, 3].tolist() == [10, 20, 30] and image[:, 0, 0].tolist() == [255] * 3
    assert (all_transparent == 255).all()


def test_photographs_are_turned_as_the_camera_was_held(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    write(folder / "dog" / "x.png", noise(5, 6), exif=exif)
    assert FewShotImages.from_folder(folder, **FEW).sizes.tolist() == [3, 3]


@pytest.mark.parametrize("damage", [
    lambda content: b"",
    lambda content: b"<html>404</html>",
    lambda content: content[: len(content) // 2],
])  # fmt: skip
def test_a_damaged_file_is_named(folder, damage):
    path = folder / "dog" / "1.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"dog.1\.png cannot be read as an image \(.*take it out"):
        FewShotImages.from_folder(folder, **FEW)


def test_pictures_of_sixteen_bits_are_refused_not_cut_off(folder):
    write(folder / "dog" / "deep.png", np.full((6, 5), 40_000, np.uint16))
    with pytest.raises(ValueError, match=r"deep.png cannot be read .*more than 8 bits per channel"):
        FewShotImages.from_folder(folder, **FEW)


@pytest.mark.parametrize(("options", "words"), [
    ({"ways": 3}, "an episode of 3 ways needs as many classes, not 2"),
    ({"queries": 2}, "there are 2 examples of class 'dog'; .*lower shots or queries"),
    ({"size": 0}, "size must be a whole number"),
    ({"size": (4, 4, 3)}, r"size must be \(height, width\), or one number"),
    ({"size": "84"}, "size must be a whole number"),
    ({"rotations": True}, "rotations need square images; these are 6 × 5"),
])  # fmt: skip
def test_what_cannot_be_drawn_from_a_folder_is_refused(folder, options, words):
    with pytest.raises(ValueError, match=words):
        FewShotImages.from_folder(folder, **(FEW | options))


def test_too_few_examples_are_said_before_anything_is_read(folder):
    (folder / "cat" / "0.png").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="class 'dog'"):
        FewShotImages.from_folder(folder, **(FEW | {"queries": 2}))


def test_a_folder_without_classes_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        FewShotImages.from_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"has no sub-folder with images \(\.bmp"):
        FewShotImages.from_folder(folder / "empty")
    with pytest.raises(ValueError, match=r"0.png is in no class: put it into a sub-folder of"):
        FewShotImages.from_folder(folder / "cat")


# ------------------------------------------------------------------ a torch Dataset


class Pairs(torch.utils.data.Dataset):
    """Five images of class 7, then two of class 3, in any form."""

    labels_of = (7, 3, 7, 7, 3, 7, 7)

    def __init__(self, form=lambda image: image, label=int):
        self.form, self.label = form, label

    def __len__(self):
        return len(self.labels_of)

    def __getitem__(self, index):
        return self.form(noise(seed=index)), self.label(self.labels_of[index])


FORMS = {
    "array": lambda image: image,
    "tensor": lambda image: torch.as_tensor(image).permute(2, 0, 1),
    "picture": Image.fromarray,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", [int, np.int64, torch.tensor, lambda n: np.array([n])])
def test_a_dataset_is_a_bank_in_the_order_of_labels(form, label):
    family = FewShotImages.from_dataset(Pairs(FORMS[form], label), **FEW)
    assert family.names == ["3", "7"] and family.sizes.tolist() == [2, 5]
    for of_class, seeds in zip(family.bank, ((1, 4), (0, 2, 3, 5, 6)), strict=True):
        for image, seed in zip(of_class, seeds, strict=True):
            np.testing.assert_array_equal(image, noise(seed=seed).transpose(2, 0, 1))
    assert family.sample(np.random.default_rng(0), 3).support_x.shape == (3, 2, 3, 6, 5)


def test_real_valued_tensors_and_shades_of_grey_stay_what_they_are():
    real = FewShotImages.from_dataset(
        Pairs(lambda image: torch.as_tensor(image[..., 0] / 7.0, dtype=torch.bfloat16)), **FEW
    )
    assert (
        real.images.dtype == np.float32 and real.images.shape == (7, 6, 5) and real.images.max() > 1
    )
    grey = FewShotImages.from_dataset(
        Pairs(lambda image: Image.fromarray(image).convert("L")), **FEW
    )
    assert (
        grey.images.dtype == np.uint8 and grey.sample(np.random.default_rng(0)).support_x.max() <= 1
    )


def test_pictures_with_a_palette_become_colours():
    palette = Pairs(lambda image: Image.fromarray(image).convert("P"))
    image = FewShotImages.from_dataset(palette, **FEW).bank[0][0]
    np.testing.assert_array_equal(
        image, np.asarray(palette[1][0].convert("RGB")).transpose(2, 0, 1)
    )


def test_an_array_that_a_dataset_uses_again_is_copied():
    place = np.empty((6, 5, 3), np.uint8)

    def same_place(image):
        place[:] = image
        return place

    one, other = (FewShotImages.from_dataset(Pairs(form), **FEW) for form in (same_place, np.array))
    assert np.array_equal(one.images, other.images)


def test_subsets_lists_and_tensor_datasets_are_datasets():
    data = Pairs()
    data.classes = [f"name {n}" for n in range(8)]
    subset = torch.utils.data.Subset(torch.utils.data.Subset(data, [0, 1, 4, 6]), [3, 1, 2, 0])
    family = FewShotImages.from_dataset(subset, **FEW)
    assert family.names == ["name 3", "name 7"] and family.sizes.tolist() == [2, 2]
    np.testing.assert_array_equal(family.bank[1][0], noise(seed=6).transpose(2, 0, 1))
    assert FewShotImages.from_dataset(list(data), **FEW).sizes.tolist() == [2, 5]
    tensors = torch.utils.data.TensorDataset(torch.rand(4, 3, 5, 5), torch.tensor([0, 1, 0, 1]))
    assert FewShotImages.from_dataset(tensors, **FEW).bank.shape == (2, 2, 3, 5, 5)


@pytest.mark.parametrize("name", ["targets", "labels"])
def test_labels_are_taken_from_the_dataset_if_its_items_have_no_number(name):
    one_hot = Pairs(label=lambda n: torch.eye(8)[n])
    setattr(one_hot, name, torch.tensor(Pairs.labels_of))
    assert FewShotImages.from_dataset(one_hot, **FEW).sizes.tolist() == [2, 5]
    subset = torch.utils.data.Subset(one_hot, [6, 5, 4, 1])
    assert FewShotImages.from_dataset(subset, **FEW).sizes.tolist() == [2, 2]


def test_labels_that_a_dataset_changes_on_the_way_out_count_as_they_come_out():
    coarse = Pairs(label=lambda n: n > 100)
    coarse.targets = list(Pairs.labels_of)
    assert FewShotImages.from_dataset(coarse, ways=1, shots=1, queries=1).sizes.tolist() == [7]


def test_channels_say_where_they_are_if_that_is_not_where_they_usually_are():
    moved = Pairs(lambda image: torch.as_tensor(image))
    with pytest.raises(
        ValueError, match=r"item 0 .* has shape \(6, 5, 3\), and channels are expected first"
    ):
        FewShotImages.from_dataset(moved, **FEW)
    assert FewShotImages.from_dataset(moved, **FEW, channels="last").images.shape == (7, 3, 6, 5)
    with pytest.raises(ValueError, match='channels must be "first" or "last"'):
        FewShotImages.from_dataset(moved, **FEW, channels="middle")


class Endless(torch.utils.data.IterableDataset):
    def __iter__(self):
        return zip(itertools.repeat(noise()), itertools.count())


class WithLength(Endless):
    def __len__(self):
        return 7


def test_datasets_that_cannot_be_asked_item_by_item_are_refused():
    loader = torch.utils.data.DataLoader(Pairs())
    for data in (Endless(), WithLength(), loader, 5, iter([])):
        with pytest.raises(ValueError, match="by number.* collect what you need first"):
            FewShotImages.from_dataset(data, **FEW)
    with pytest.raises(ValueError, match="the dataset is empty"):
        FewShotImages.from_dataset([], **FEW)


@pytest.mark.parametrize(("form", "label", "words"), [
    (lambda image: image[: image[0, 0, 0] % 4 + 1], int, r"item 0 is uint8 of shape .*, item \d is .*transform"),
    (lambda image: image[0, 0], int, r"item 0 .*the axes \(height, width\), .* got shape \(3,\)"),
    (lambda image: image.astype(int), int, "item 0 .*uint8 .* or floats; got int64"),
    (lambda image: "cat.png", int, "item 0 of the dataset: an image has the axes"),
    (lambda image: Image.fromarray(image[..., 0].astype(np.uint16)), int, "item 0 .*more than 8 bits"),
    (lambda image: image / 0.0, int, "class '3' contains NaN, infinity"),
    (lambda image: image, str, r"item 0 .* pair \(image, label\), the label a whole number; it is \(image, '7'\)"),
    (lambda image: image, float, r"it is \(image, 7.0\)"),
])  # fmt: skip
def test_items_that_are_no_images_with_labels_are_named(form, label, words):
    with pytest.raises(ValueError, match=words), np.errstate(all="ignore"):
        FewShotImages.from_dataset(Pairs(form, label), **FEW)


@pytest.mark.parametrize(
    "item", [noise(), (noise(),), (noise(), 1, 2), {"image": noise(), "label": 1}]
)
def test_an_item_that_is_no_pair_is_named(item):
    with pytest.raises(ValueError, match=r"item 0 of the dataset must be a pair \(image, label\)"):
        FewShotImages.from_dataset([item] * 4, **FEW)


def test_too_few_examples_of_a_label_are_named():
    with pytest.raises(ValueError, match="there are 2 examples of class '3'"):
        FewShotImages.from_dataset(Pairs(), 2, 1, 2)


def test_tasks_do_without_torch_and_pillow_until_there_is_a_file_to_read():
    code = (
        "import sys, maml_edu.tasks; print(sorted({'torch', 'PIL', 'tqdm'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
