"""Drawing: the same screen is the same picture, texts can be read, files are what they claim."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops

from qmpemu.console import Element, Screen
from qmpemu.edge import picture
from qmpemu.edge.vnc import des, keysyms, pixels


def screen(text: str = "Report.docx", **about: object) -> Screen:
    element = Element("title", text, (10, 10, 300, 40), **about)  # type: ignore[arg-type]
    return Screen("test", (320, 200), (element,), background="#102030")


def test_the_same_screen_is_the_same_picture() -> None:
    """Byte for byte, as PNG and as PPM."""
    for form in ("png", "ppm"):
        assert picture.encode(screen(), form) == picture.encode(screen(), form)
        assert picture.encode(screen(), form) != picture.encode(screen("Other.docx"), form)


@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("ppm", b"P6\n320 200\n255\n")])
def test_files_are_what_they_claim(form: str, magic: bytes) -> None:
    """Magic number, size and pixels survive a reader of its own."""
    data = picture.encode(screen(), form)
    assert data.startswith(magic)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (320, 200)
        assert ImageChops.difference(image.convert("RGB"), picture.draw(screen())).getbbox() is None


@pytest.mark.parametrize("look", [*picture.SIZES, *picture.LOOKS])
def test_every_look_draws_within_its_box(look: str) -> None:
    """Nothing is drawn outside of an element, and something inside, focused or not."""
    for focused in (False, True):
        made = Screen("test", (320, 200), (Element("e", "Text", (60, 40, 200, 120), look, focused=focused),))
        box = picture.draw(made).getbbox()
        assert box is not None
        assert box[0] >= 60 and box[1] >= 40 and box[2] <= 260 and box[3] <= 160


def test_long_texts_are_cut() -> None:
    """A text longer than its box ends with dots inside of it."""
    box = picture.draw(Screen("test", (320, 200), (Element("e", "x" * 500, (0, 0, 100, 40)),))).getbbox()
    assert box is not None and box[2] <= 100


def test_the_pointer_is_drawn_at_its_place() -> None:
    """Its tip is the place, also at the edge of the screen."""
    for place in ((5, 5), (319, 199)):
        drawn = picture.draw(Screen("test", (320, 200), pointer=place))
        assert drawn.getbbox() is not None
        assert drawn.getbbox()[:2] == place  # type: ignore[index]


def test_des_against_known_answers() -> None:
    """FIPS 46-3 on the vectors of its validation suite (SP 500-20)."""
    known = [
        ("0101010101010101", "8000000000000000", "95f8a5e5dd31d900"),
        ("8001010101010101", "0000000000000000", "95a8d72813daa94d"),
        ("1046913489980131", "0000000000000000", "88d55e54f54c97b4"),
        ("7ca110454a1a6e57", "01a1d6d039776742", "690f5b0d9a26939b"),
    ]
    for key, plain, cipher in known:
        assert des.encrypt(bytes.fromhex(key), bytes.fromhex(plain)).hex() == cipher


def test_key_symbols_are_keys() -> None:
    """Letters of both cases and signs of both levels lead to the key that bears them."""
    assert [keysyms.qcode(ord(sign)) for sign in "aA1! <?"] == ["a", "a", "1", "1", "spc", "comma", "slash"]
    assert [keysyms.qcode(each) for each in (0xFF0D, 0xFFFF, 0xFFBE, 0xFFC9)] == [
        "ret",
        "delete",
        "f1",
        "f12",
    ]
    assert keysyms.qcode(0x20AC) is None
    assert all(keysyms.qcode(number) for number in range(0x20, 0x7F))


def test_tiles_leave_out_the_byte_without_colour() -> None:
    """ZRLE's pixels are 3 bytes where 24 bits say all, whatever end comes first; a tile of one colour is one pixel."""
    plain = Image.new("RGB", (100, 64), (1, 2, 3))
    for form, pixel in (
        (pixels.Format(), b"\3\2\1"),
        (pixels.Format(big_endian=1), b"\1\2\3"),
        (pixels.Format(red_shift=24, green_shift=16, blue_shift=8), b"\3\2\1"),
        (pixels.Format(depth=32), b"\3\2\1\0"),
    ):
        assert pixels.tiles(plain, form) == 2 * (b"\1" + pixel)
    plain.putpixel((0, 0), (0, 0, 0))
    assert len(pixels.tiles(plain, pixels.Format())) == 1 + 64 * 64 * 3 + 4


def test_pixel_formats_that_cannot_be() -> None:
    """Shifts beyond the pixel, and 24 bits, are refused."""
    for form in (pixels.Format(bits=24), pixels.Format(bits=16, red_shift=16)):
        with pytest.raises(ValueError, match="no pixel has"):
            pixels.Format.unpack(form.pack())
    assert pixels.Format.unpack(pixels.Format(bits=8, true_colour=0).pack()).true_colour == 1
