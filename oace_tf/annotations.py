"""Polygons of objects as annotation tools read them: COCO JSON, labelme JSON, SVG.

In these files the upper left corner of the upper left pixel is (0, 0), so all coordinates are
half a pixel larger than ours. COCO and labelme know no holes: each is joined to its outline by a
cut of no width (`polygons.joined`). SVG has them as they are.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from oace_tf.polygons import Polygon, joined

FORMATS = {"coco": ".json", "labelme": ".json", "svg": ".svg"}  # the suffix of each
CATEGORY = "object"
_DECIMALS = 2  # hundredths of a pixel
_NOT_OF_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LABELME = "5.5.0"  # the release whose form this is


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedObject:
    """An object in a photograph.

    Attributes:
      polygons: its pieces.
      category: what it is.
      name: which one of the photograph it is; may be empty.
    """

    polygons: tuple[Polygon, ...]
    category: str = CATEGORY
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedPhotograph:
    """A photograph and its objects.

    Attributes:
      file_name: as it shall stand in the file.
      height, width: of the upright photograph, px.
      objects: in any number.
    """

    file_name: str
    height: int
    width: int
    objects: tuple[AnnotatedObject, ...] = ()


def as_coco(photographs: Sequence[AnnotatedPhotograph]) -> dict[str, Any]:
    """Return the content of a COCO file of instances; an object without a polygon is left out."""
    names = list(dict.fromkeys(thing.category for photograph in photographs
                               for thing in photograph.objects))
    numbers = {name: number for number, name in enumerate(names, 1)}
    annotations: list[dict[str, Any]] = []
    for image_id, photograph in enumerate(photographs, 1):
        for thing in photograph.objects:
            if not thing.polygons:
                continue
            points = np.concatenate([polygon.outline for polygon in thing.polygons]) + 0.5
            low, high = points.min(axis=0), points.max(axis=0)
            entry = {
                "id": len(annotations) + 1, "image_id": image_id,
                "category_id": numbers[thing.category],
                "segmentation": [sum(_pairs(joined(polygon)), [])
                                 for polygon in thing.polygons],
                "area": round(sum(polygon.area for polygon in thing.polygons), _DECIMALS),
                "bbox": np.round([*low, *(high - low)], _DECIMALS).tolist(), "iscrowd": 0}
            annotations.append(entry | ({"object": thing.name} if thing.name else {}))
    return {
        "info": {"description": "outlines by oace-tf"},
        "images": [{"id": number, "file_name": photograph.file_name, "width": photograph.width,
                    "height": photograph.height}
                   for number, photograph in enumerate(photographs, 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name, "supercategory": ""}
                       for name, number in numbers.items()]}


def as_labelme(photograph: AnnotatedPhotograph) -> dict[str, Any]:
    """Return the content of a labelme file; pieces of one object share its `group_id`."""
    shapes: list[dict[str, Any]] = [
        {"label": thing.category, "points": _pairs(joined(polygon)), "group_id": number,
         "description": thing.name, "shape_type": "polygon", "flags": {}, "mask": None}
        for number, thing in enumerate(photograph.objects, 1) for polygon in thing.polygons]
    return {"version": _LABELME, "flags": {}, "shapes": shapes, "imagePath": photograph.file_name,
            "imageData": None, "imageHeight": photograph.height, "imageWidth": photograph.width}


def as_svg(photograph: AnnotatedPhotograph) -> str:
    """Return an SVG drawing of the photograph's size: a path for each object, holes included."""
    paths = []
    for thing in photograph.objects:
        rings = (ring for polygon in thing.polygons for ring in polygon.rings)
        line = " ".join("M" + " ".join(f"{x:g},{y:g}" for x, y in _pairs(ring)) + "Z"
                        for ring in rings)
        title = escape(_NOT_OF_XML.sub("\ufffd", thing.name or thing.category))
        paths.append(f'  <path fill-rule="evenodd" d="{line}"><title>{title}</title></path>\n')
    size = f'width="{photograph.width}" height="{photograph.height}"'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {photograph.width} {photograph.height}">\n{"".join(paths)}</svg>\n')


def _pairs(ring: np.ndarray) -> list[list[float]]:
    """Return a ring as lists of x and y from the corner of the photograph."""
    return np.round(ring + 0.5, _DECIMALS).tolist()
