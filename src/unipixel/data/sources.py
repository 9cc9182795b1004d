"""Where data sets can be had: the published mixture on the hub, their authors' own places, forms to sign.

Only what is known for certain is named here; what a repository really holds is asked when it is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unipixel.data.registry import DatasetInfo

MIXTURE = "PolyU-ChenLab/UniPixel-SFT-1M"
"""The published mixture on the hub, in the layout that the readers open; large folders are archives."""

PAGE = "the Hugging Face hub, data set {repo}"

_PACKED = re.compile(r"\.(?:tar|tgz|tar\.gz|zip)$")
_WILD = re.compile(r"[*{}()]")


@dataclass(frozen=True)
class Place:
    """Where a data set is published.

    Attributes:
        repo: the repository on the hub that `unipixel data get` fetches from.
        original: the authors' own place, for people; empty where it is not known for certain.
        steps: what a person has to do where something must be signed before; empty where nothing must.
    """

    repo: str = MIXTURE
    original: str = ""
    steps: tuple[str, ...] = ()


_VIDEOREFER = Place(original=PAGE.format(repo="DAMO-NLP-SG/VideoRefer-700K"))
_VIDEOREFER_BENCH = Place(original=PAGE.format(repo="DAMO-NLP-SG/VideoRefer-Bench"))
_INST_IT = Place(original=PAGE.format(repo="Inst-IT/Inst-IT-Dataset"))
_OSPREY = Place(original=PAGE.format(repo="AntGroup-MI/Osprey-724K"))

PLACES: Mapping[str, Place] = {
    "mapillary": Place(
        original="https://www.mapillary.com/dataset/vistas",
        steps=(
            "open https://www.mapillary.com/dataset/vistas, sign in, and accept the terms (research edition)",
            "fetch version 2.0",
            "put its folders training and validation, and config_v2.0.json, into {root}/lisa/mapillary",
        ),
    ),
    "ref_sav": Place(
        original="https://ai.meta.com/datasets/segment-anything-video",
        steps=(
            "open https://ai.meta.com/datasets/segment-anything-video and accept the terms of SA-V",
            "fetch its training videos and annotations, and put them into {root}/sav/sav_train",
            f"fetch Ref-SAV-Min-Ratio-0.3.json from {PAGE.format(repo=MIXTURE)} into {{root}}/ref_sav",
        ),
    ),
    "mvbench": Place(original=PAGE.format(repo="OpenGVLab/MVBench")),
    "videomme": Place(original=PAGE.format(repo="lmms-lab/Video-MME")),
    "videorefer_short_caption": _VIDEOREFER,
    "videorefer_short_caption_ref": _VIDEOREFER,
    "videorefer_detailed_caption": _VIDEOREFER,
    "videorefer_qa": _VIDEOREFER,
    "videorefer_qa_mem": _VIDEOREFER,
    "videorefer_bench_q": _VIDEOREFER_BENCH,
    "videorefer_bench_d": _VIDEOREFER_BENCH,
    "inst_it_image_short_caption_raw_ref": _INST_IT,
    "inst_it_video_qa_raw": _INST_IT,
    "inst_it_video_qa_raw_mem": _INST_IT,
    "osprey_conversation": _OSPREY,
    "osprey_pos_neg": _OSPREY,
    "osprey_detail_description": _OSPREY,
}
"""What differs from a data set that is in the mixture and needs no form."""


def place_of(info: DatasetInfo) -> Place | None:
    """Where a data set is published; None for a person's own, and for what is drawn."""
    return None if info.name == "jsonl" or info.drawn else PLACES.get(info.name, Place())


def folders_of(info: DatasetInfo) -> tuple[str, ...]:
    """The folders below the root that a data set lies in: as far down as its paths are plain, but a folder of
    its own at most (`lisa` is shared, so two levels there)."""
    found = dict.fromkeys(
        _folder(path.strip())
        for text in (info.annotations, info.media)
        for path in re.split(r",\s*(?![^{]*\})", text)
    )
    return tuple(folder for folder in found if folder)


def _folder(path: str) -> str:
    plain: list[str] = []
    for part in path.split(" or ")[0].split("/"):
        if _WILD.search(part) or "." in part:
            break
        plain.append(part)
    return "/".join(plain[: 2 if plain[:1] == ["lisa"] else 1])


def wanted(info: DatasetInfo, paths: Iterable[str]) -> list[str]:
    """Which files of a repository a data set needs: those in its folders, and archives of these."""
    folders = folders_of(info)
    return [path for path in paths if any(_belongs(path, folder) for folder in folders)]


def _belongs(path: str, folder: str) -> bool:
    if path.startswith(folder + "/"):
        return True
    packed = _PACKED.sub("", path)
    return packed != path and f"{folder}/".startswith(f"{packed}/")


def is_archive(path: str) -> bool:
    """Whether a file is to be unpacked."""
    return _PACKED.search(path) is not None
