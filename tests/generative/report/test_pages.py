"""Pages from templates: everything is escaped, and pictures and films are inside."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from generative.report import pages
from generative.report.images import png_bytes
from generative.report.pages import Remark, Share, data_url, duration, media_type, number
from generative.report.video import gif_bytes, webm_bytes
from tests.page import Page

EVIL = "<script>alert('x')</script>"
FRAMES = np.zeros((3, 16, 16, 3), np.uint8)


def written(body: str, **values: object) -> Page:
    """Return a page with this content."""
    text = (
        '{% extends "base.html" %}'
        '{% from "macros.html" import details, media, plot, section, table, verdict %}'
        f"{{% block content %}}{body}{{% endblock %}}"
    )
    head = {"title": EVIL, "kind": EVIL, "facts": {EVIL: EVIL}, "warnings": [EVIL], "warned": EVIL}
    return Page(pages._environment("generative.report").from_string(text).render(head | values))


def test_everything_is_escaped_wherever_it_stands():
    page = written(
        "{% call section(evil) %}{{ table([evil, evil, evil], [[evil, note, 3]]) }}{% call details(evil) %}{{ evil }}"
        "{% endcall %}{{ media(evil, film, evil) }}{{ verdict(evil, [evil], evil) }}{% endcall %}",
        evil=EVIL, note=Remark(EVIL, EVIL), film=webm_bytes(FRAMES, 10),
    )  # fmt: skip
    assert "script" not in {tag for tag, _ in page.tags} and page.loads == []
    assert page.words.count(EVIL) == 8 + 13  # of the base and of the content


def test_cells_show_what_they_hold():
    page = written("{{ table(['a', 'b'], rows) }}", rows=[[None, True], [Remark("3", "2 to 4"), Share(0.25)], [0, "x"]])
    assert "a b yes 3 2 to 4 0 x" in page.words
    assert [attributes["style"] for _, attributes in page.tags if "style" in attributes] == ["width:25.0%"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (png_bytes(FRAMES[0]), "image/png"),
        (gif_bytes(FRAMES), "image/gif"),
        (webm_bytes(FRAMES, 10), "video/webm"),
        (cv2.imencode(".webp", FRAMES[0])[1].tobytes(), "image/webp"),
    ],
)
def test_pictures_and_films_are_inside(content: bytes, kind: str):
    page = written("{{ media('drive', content, 'One drive') }}", content=content)
    assert page.media == [content] and "One drive" in page.words
    assert ("video" in {tag for tag, _ in page.tags}) == (kind == "video/webm")
    assert data_url(content, "drive").startswith(f"data:{kind};base64,")


def test_another_file_is_refused_by_name():
    for content in (b"%PDF-1.7", b"RIFF\x00\x00\x00\x00AVI "):
        with pytest.raises(ValueError, match="drive: no PNG"):
            media_type(content, "drive")


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(Exception, match="'nothing' is undefined"):
        written("{{ nothing }}")


def test_numbers_and_times_are_written_alike_everywhere():
    assert (number(-1234.56), number(0.012345, 2), number(-0.5, 3)) == ("−1,234.6", "0.012", "−0.5")
    assert (duration(119.9), duration(120), duration(7200)) == ("119.9 s", "2.0 min", "2.0 h")


@pytest.mark.slow
def test_the_wheel_has_the_templates(tmp_path: Path):
    root = Path(__file__).parents[3]
    for room in ("generative", "worldmodels", "agents", "envs", "scripts"):
        shutil.copytree(root / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "pretrained"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    wanted = {str(path.relative_to(root)) for room in ("generative", "worldmodels")
              for path in (root / room).rglob("templates/*")}  # fmt: skip
    assert len(wanted) >= 7 and wanted <= set(zipfile.ZipFile(wheel).namelist())
