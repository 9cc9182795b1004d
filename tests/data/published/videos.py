"""Video data sets: the files with expressions, Ref-SAV, GroundMoRe and ViCaS."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from tests.data.published.drawing import (
    block,
    listed_rle,
    rle,
    write_frames,
    write_json,
    write_labels,
    write_video,
)

PALETTE = [0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200]


def frame_names(count: int) -> list[str]:
    return [f"{number:05d}" for number in range(count)]


def video(count: int, expressions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"frames": frame_names(count), "expressions": expressions, **fields}


def said(text: str, objects: list[int], masks: list[int], **fields: Any) -> dict[str, Any]:
    return {"exp": text, "obj_id": objects, "anno_id": masks, **fields}


def write_pickle(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value))


# Masks by annotation


def make_revos(root: Path) -> None:
    """Unions, null masks, expressions without target, a question, videos under TAO/ that are cut."""
    folder, size = root / "revos", {"height": 12, "width": 16}
    train = {
        "clip_a": video(
            3,
            {
                "0": said("The red car.", [1], [10], type_id=0),
                "1": said("Which cars are moving?", [1, 2], [10, 11], type_id=1),
                "2": said("a dragon", [], [], type_id=2),
            },
            **size,
        ),
        "TAO/clip_b": video(
            5,
            {
                "0": said("a dog", [3, 4], [12, 13], type_id=0),
                "1": said("two dogs", [4, 3], [14], type_id=0),
                "2": said("a cat", [5], [15], type_id=0),
            },
            **size,
        ),
    }
    valid = {
        "clip_c": video(
            2,
            {
                "0": said("the boat", [7], [16], type_id=0),
                "1": said("What flies here?", [], [], type_id=2),
            },
            **size,
        )
    }
    write_json(folder / "meta_expressions_train_.json", {"videos": train})
    write_json(folder / "meta_expressions_valid_.json", {"videos": valid})
    masks = {
        "10": [rle((0, 0, 4, 4)), rle((1, 0, 5, 4)), None],
        "11": [None, rle((10, 5, 14, 9)), None],
        "12": [None, rle((2, 2, 6, 6)), None, None, None],
        "13": [None, None, None, rle((8, 2, 12, 6)), None],
        "14": [rle((0, 0, 1, 1)), rle((0, 0, 2, 2)), None, rle((0, 0, 3, 3)), rle((0, 0, 4, 4))],
        "15": [None, None, rle((5, 5, 6, 6)), None, None],
        "16": [listed_rle((3, 3, 9, 9)), None],
    }
    write_json(folder / "mask_dict.json", masks)
    foreground = {"clip_c": {"masks_rle": [rle((3, 3, 9, 9), (12, 0, 16, 2)), rle((12, 0, 16, 2))]}}
    write_json(folder / "mask_dict_foreground.json", foreground)
    for name, count in {"clip_a": 3, "TAO/clip_b": 5, "clip_c": 2}.items():
        write_frames(folder / name, frame_names(count))


def make_mevis(root: Path) -> None:
    """A mask of half the frame's size, an expression without target, a split without masks."""
    for split, clip in {"train": "aa", "valid_u": "bb", "valid": "cc"}.items():
        folder = root / "mevis" / split
        expressions = {
            "0": said("the bird that flies off", [0], [0]),
            "1": said("birds that stay", [1, 2], [1, 2]),
            "2": said("a fish that walks", [], []),
        }
        if split == "valid":
            expressions = {"0": {"exp": "the bird that flies off"}}
        write_json(folder / "meta_expressions.json", {"videos": {clip: video(2, expressions)}})
        write_frames(folder / "JPEGImages" / clip, frame_names(2))
        if split != "valid":
            masks = {
                "0": [rle((2, 2, 4, 4), width=8, height=6), None],
                "1": [rle((0, 0, 2, 2)), rle((0, 0, 2, 3))],
                "2": [rle((8, 8, 10, 10)), rle()],
            }
            write_json(folder / "mask_dict.json", masks)


def make_lvvis(root: Path) -> None:
    """Names with underscores."""
    folder = root / "lvvis"
    expressions = {"0": said("traffic_light", [4], [3]), "1": said("sea_lion", [], [])}
    write_json(folder / "meta_expressions.json", {"videos": {"00000": video(2, expressions)}})
    write_json(folder / "mask_dict.json", {"3": [None, rle((4, 4, 8, 8))]})
    write_frames(folder / "train" / "JPEGImages" / "00000", frame_names(2))


def make_ref_sav_eval(root: Path) -> None:
    """The layout of ReVOS; expressions are descriptions."""
    folder = root / "ref_sav" / "valid"
    expressions = {
        "0": said("A tall man in a blue coat who walks to the left.", [0], [5], type_id=0),
        "1": said("the man", [0], [5], type_id=1),
    }
    write_json(folder / "meta_expressions_valid.json", {"videos": {"sav_1": video(2, expressions)}})
    write_json(folder / "mask_dict.json", {"5": [rle((1, 1, 3, 9)), rle((0, 1, 2, 9))]})
    write_frames(folder / "videos" / "sav_1", frame_names(2))


# Masks by count


def thing(number: int, count: int) -> list[dict[str, Any] | None]:
    """Masks of thing `number` on `count` frames: a column of its own, absent from the last frame."""
    return [*([rle((number, 0, number + 1, 6))] * (count - 1)), None]


def make_ref_youtube_vos(root: Path) -> None:
    """12 expressions for 4 things, counted as text within each video; videos not in the order of their names;
    valid has neither masks nor objects."""
    folder = root / "ref_youtube_vos"
    first = {str(number): {"exp": f"thing {number}", "obj_id": str(number // 3 + 1)} for number in range(12)}
    train = {"v_b": video(3, first), "v_a": video(2, {"0": {"exp": "a kite", "obj_id": "1"}})}
    write_json(folder / "meta_expressions" / "train" / "meta_expressions.json", {"videos": train})
    valid = {"v_c": video(2, {"0": {"exp": "a person"}, "1": {"exp": "a horse"}})}
    write_json(folder / "meta_expressions" / "valid" / "meta_expressions.json", {"videos": valid})
    tracks = [thing(int(first[number]["obj_id"]), 3) for number in sorted(first)] + [thing(9, 2)]
    write_pickle(folder / "mask_dict.pkl", {str(place): track for place, track in enumerate(tracks)})
    for split, clips in {"train": train, "valid": valid}.items():
        for name, clip in clips.items():
            write_frames(folder / split / "JPEGImages" / name, clip["frames"])


def make_ref_davis17(root: Path) -> None:
    """train: counted as listed, and one expression has no masks at all. valid: counted with everything sorted
    as text, 12 expressions for 3 things as four annotators wrote them."""
    folder = root / "ref_davis17"
    train = {"dog": video(2, {str(n): {"exp": f"dog {n}", "obj_id": str(n // 4 + 1)} for n in range(12)})}
    masks: list[Any] = [thing(number // 4 + 1, 2) for number in range(12)]
    masks[5] = None
    masks[6] = [None, None]
    write_davis(folder, "train", train, masks)
    many = {str(n): {"exp": f"boat {n}", "obj_id": str(n // 4 + 1)} for n in range(12)}
    valid = {"sea": video(3, many), "bay": video(2, {"0": {"exp": "the sail", "obj_id": "1"}})}
    tracks = [thing(9, 2), *(thing(int(many[number]["obj_id"]), 3) for number in sorted(many))]
    write_davis(folder, "valid", valid, tracks)


def write_davis(folder: Path, split: str, videos: dict[str, Any], tracks: list[Any]) -> None:
    write_json(folder / "meta_expressions" / split / "meta_expressions.json", {"videos": videos})
    write_pickle(folder / split / "mask_dict.pkl", {str(place): track for place, track in enumerate(tracks)})
    for name, clip in videos.items():
        write_frames(folder / "DAVIS" / "JPEGImages" / "480p" / name, clip["frames"])


# Others


def make_ref_sav(root: Path) -> None:
    """A video of 9 frames with masks on frames 0, 4 and 8, of two objects; one described."""
    below = "sav_train/sav_000/sav_000001"
    objects = {"1": {"video_id": "sav_000001", "obj_id": 1, "formated": "A red ball that rolls away."}}
    paths = {"video_path": f"data/{below}.mp4", "anno_path": f"data/{below}_manual.json"}
    write_json(root / "ref_sav" / "Ref-SAV-Min-Ratio-0.3.json", {"sav_000001": {**paths, "objects": objects}})
    masklet = [
        [rle((0, 0, 2, 2)), rle((4, 4, 8, 8))],
        [rle((0, 0, 2, 2)), rle((5, 4, 9, 8))],
        [rle(), rle()],
    ]
    write_json(root / "sav" / f"{below}_manual.json", {"video_id": "sav_000001", "masklet": masklet})
    write_video(root / "sav" / f"{below}.mp4", 9)


def make_groundmore(root: Path) -> None:
    """train: frames without masks, two objects, a video without folder and one without masks. test: 25
    frames, of which 20 are taken, and a question about the second second."""
    folder = root / "groundmore"
    asked = {
        "0": {
            **{"question": "Who kicks the ball", "answer": "the boy", "q_type": "Causal"},
            **{"obj_id": "1", "action_start": "01:00", "action_end": "01:02"},
        },
        "1": {
            **{"question": "What moves?", "answer": "the boy and the ball", "q_type": "Descriptive"},
            **{"obj_id": "1, 2", "action_start": "01:00", "action_end": "01:02"},
        },
    }
    train = {f"{name}_0100_0104": {"questions": asked} for name in ("ball", "gone", "bare")}
    write_json(folder / "trainval_v2.json", {"videos": train})
    question = {**asked["0"], "question": "Who runs?", "action_start": "00:02:01", "action_end": "02:02"}
    test = {"run_0200_0205": {"questions": {"7": question}}}
    write_json(folder / "test_v2.json", {"videos": test})
    for name, count in {"ball_0100_0104": 4, "bare_0100_0104": 2}.items():
        write_frames(folder / "annotations" / name / "images", [f"{n:07d}" for n in range(count)])
        (folder / "annotations" / name / "masks").mkdir()
    labels = np.zeros((12, 16), dtype=np.uint8)
    labels[block((0, 0, 4, 4))] = 1
    labels[block((8, 8, 12, 12))] = 2
    labels[block((14, 0, 16, 2))] = 3
    for number in (1, 3):
        write_labels(
            folder / "annotations" / "ball_0100_0104" / "masks" / f"{number:07d}.png", labels, PALETTE
        )
    clip = folder / "annotations" / "run_0200_0205"
    write_frames(clip / "images", [f"frame_{number:06d}" for number in range(25)])
    for number in range(10):  # none behind
        write_labels(clip / "masks" / f"frame_{number:06d}.png", labels, PALETTE)


def make_vicas(root: Path) -> None:
    """One list of annotations, masks in files: a phrase for two tracks, tracks that are absent."""
    folder = root / "vicas"
    annotations = [vicas_annotation("000012_park.mp4"), vicas_annotation("000345_road.mp4")]
    for annotation in annotations:
        for entry in annotation["segmentations"]:
            del entry["mask_rles"]
        vid = annotation["filename"][:6]
        write_frames(folder / "video_frames" / vid, frame_names(4))
        write_json(folder / "masks" / vid / "0.json", [[rle((0, 0, 3, 3))], [None], None])
        write_json(
            folder / "masks" / vid / "1.json", [[rle((0, 0, 3, 3)), rle((6, 6, 9, 9))], [None, None], rle()]
        )
    write_json(folder / "annotations" / "annotations_wo_masks_v1.0.json", annotations)
    splits = {"train": [12], "val": ["000345"], "test": [999]}
    for split, vids in splits.items():
        write_json(folder / "splits" / "v1.0" / f"{split}.json", vids)


def make_vicas_folder(root: Path) -> None:
    """The same as its authors publish it: a file for each video, masks inside."""
    folder = root / "vicas"
    write_json(folder / "annotations" / "v1.0" / "000012.json", vicas_annotation("000012_park.mp4"))
    write_json(folder / "splits" / "v1.0" / "train.json", [12])
    write_frames(folder / "video_frames" / "000012", frame_names(4))


def vicas_annotation(filename: str) -> dict[str, Any]:
    """Three of the four frames are annotated; track 2 is on the first alone, track 1 never again."""
    return {
        "filename": filename,
        "segmentations": [
            {
                "filename": "00000.jpg",
                "track_ids": [2, 1],
                "mask_rles": [rle((6, 6, 9, 9)), rle((0, 0, 3, 3))],
            },
            {"filename": "00001.jpg", "track_ids": [], "mask_rles": []},
            {"filename": "00003.jpg", "track_ids": [2], "mask_rles": [rle()]},
        ],
        "object_referrals": [
            {"prompt": "the man who falls", "track_ids": [1]},
            {"prompt": "both men", "track_ids": [1, 2]},
        ],
    }


BUILDERS = {
    "revos": make_revos,
    "mevis": make_mevis,
    "lvvis": make_lvvis,
    "ref_youtube_vos": make_ref_youtube_vos,
    "ref_davis17": make_ref_davis17,
    "ref_sav": make_ref_sav,
    "ref_sav_eval": make_ref_sav_eval,
    "groundmore": make_groundmore,
    "vicas": make_vicas,
}
