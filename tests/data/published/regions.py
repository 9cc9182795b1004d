"""Data sets of regions, talk and choices: VideoRefer, Inst-IT, Osprey, general mix, MVBench, Video-MME."""

import json
from pathlib import Path
from typing import Any

from tests.data.published.drawing import (
    HEIGHT,
    WIDTH,
    listed_rle,
    rle,
    write_frames,
    write_json,
    write_picture,
    write_video,
)


def talk(*texts: str) -> list[dict[str, str]]:
    """Human and gpt in turn."""
    return [{"from": "gpt" if number % 2 else "human", "value": text} for number, text in enumerate(texts)]


# VideoRefer

SUITE = ("videorefer", "VideoRefer-700K")


def clip(video: str, frames: list[list[int]], *texts: str, ratio: float = 0.5) -> dict[str, Any]:
    """An item without masks; `frames` are those of each object."""
    annotation = [{str(frame): None for frame in each} for each in frames]
    return {"video": video, "conversations": talk(*texts), "annotation": annotation, "ratio": ratio}


def write_suite(
    root: Path, file: str, masks: str, items: list[dict[str, Any]], given: dict[int, Any]
) -> None:
    """Items, the masks of some of them, and two videos of 6 frames and a folder of 4."""
    folder = root.joinpath(*SUITE)
    write_json(folder / f"{file}-wo-masks.json", items)
    for index, regions in given.items():
        write_json(folder / masks / f"{index}.json", regions)
    for name in ("a.mp4", "deep/b.mp4"):
        if not (folder / "videos" / name).exists():
            write_video(folder / "videos" / name, 6)
    write_frames(folder / "videos" / "stills", [f"frame_{number}" for number in (2, 10, 100, 1)])


def make_short_captions(root: Path) -> None:
    """One object on one frame; items with two rounds, two objects, too small a ratio; a mask in two pieces,
    one with its run lengths as a list."""
    items = [
        clip("a.mp4", [[4]], "<video>\nWhat is <region>?", "A red ball."),
        clip("a.mp4", [[1]], "<video>\nWhat is <region>?", "A dog.", "And now?", "Still a dog."),
        clip("a.mp4", [[1], [1]], "<video>\n<region> and <region>?", "Two dogs."),
        clip("deep/b.mp4", [[0]], "Name <region>.\n<video>", "A blue box.", ratio=0.1),
        clip("stills", [[2]], "What is <region>?\n<video>", "A cat.", ratio=0.3),
    ]
    given = {
        0: [[[rle((1, 1, 5, 5))]]],
        1: [[[rle((0, 0, 2, 2))]]],
        2: [[[rle((0, 0, 2, 2))]], [[rle((8, 0, 9, 2))]]],
        3: [[[listed_rle((2, 2, 4, 4)), rle((6, 6, 8, 8))]]],
        4: [[[rle((3, 3, 6, 6))]]],
    }
    write_suite(root, "videorefer-short-caption-500k", "masks_short_caption", items, given)


def make_detailed_captions(root: Path) -> None:
    """Many frames, only one object; two regions, no object and six are left out."""
    items = [
        clip("a.mp4", [[5, 0, 3]], "<video>\nDescribe <region> in detail.", "A ball that rolls away."),
        clip("a.mp4", [[0], [1]], "<video>\nDescribe <region> and <region>.", "Two balls."),
        clip("a.mp4", [], "<video>\nDescribe <region>.", "Nothing."),
        clip("a.mp4", [[0]] * 6, "<video>\nDescribe <region>.", "Six."),
        clip("deep/b.mp4", [[2]], "<video>\nDescribe <region>.", "A box.", ratio=0.3),
        clip("deep/b.mp4", [[2]], "<video>\nDescribe <region>.", "A box.", ratio=0.29),
    ]
    given = {
        0: [[[rle((0, 0, 3, 3))], [rle((1, 0, 4, 3)), rle((12, 9, 16, 12))], [None]]],
        4: [[[rle((4, 4, 8, 8))]]],
    }
    write_suite(root, "videorefer-detailed-caption-125k", "masks_detailed_caption", items, given)


def make_questions(root: Path) -> None:
    """An introduction with numbers in another order than they are asked for, an object that is only
    introduced, a bare region, several rounds, a single frame, and text of neither form."""
    two = "<video>\nThere are <object3><region> and <object1><region> in the video.\n"
    items = [
        clip("a.mp4", [[0, 2], [2, 4]], f"{two}Does <object1> follow <object3>?", "<object1> does."),
        clip("a.mp4", [[0, 2], [2, 4]], f"{two}What is <object1>?", "A dog.", "Its tail?", "Short."),
        clip("deep/b.mp4", [[1, 3]], "<video>\nWhat is <region> doing?", "It sleeps."),
        clip("deep/b.mp4", [[3]], "<video>\nWhere is <region>?", "On the left."),
        clip("deep/b.mp4", [[1, 3], [1]], "<video>\nIs <region> near <region>?", "Yes."),
        clip("deep/b.mp4", [[1, 3], [1]], f"{two}What happens?", "They play."),
    ]
    both = [
        [[rle((0, 0, 2, 2))], [rle((1, 0, 3, 2))], [None]],
        [[None], [rle((8, 8, 10, 10))], [rle((9, 8, 11, 10))]],
    ]
    given = {
        0: both,
        1: both,
        2: [[[rle((4, 0, 8, 4))], [rle((4, 1, 8, 5))]]],
        3: [[[rle((2, 0, 3, 4))]]],
        5: [[[rle((4, 0, 8, 4))], [rle((4, 1, 8, 5))]], [[rle((0, 6, 2, 9))], [None]]],
    }
    write_suite(root, "videorefer-qa-75k", "masks_qa", items, given)


def marked(frames: dict[int, Any]) -> dict[str, Any]:
    """One object with its masks in the annotation."""
    return {str(frame): {"segmentation": region} for frame, region in frames.items()}


def make_bench_q(root: Path) -> None:
    """Two objects on different frames, a polygon, an object mentioned in an option only by its number."""
    items = [
        {
            **{"id": 7, "video": "Panda-70M-part/a.mp4", "type": "Relationship Questions", "frame_idx": "4"},
            "Question": "What does <object0><region> do to <object2><region>, and <object0> after that?",
            "options": ["(A) It runs.", "(B) It bites <object2>.", "(C) Nothing"],
            "Answer": "(B) It bites <object2>.",
            "annotation": [
                marked({0: rle((0, 0, 4, 4)), 4: [[2, 2, 6, 2, 6, 6, 2, 6]]}),
                marked({4: rle((10, 4, 14, 8))}),
            ],
        },
        {
            **{"id": 8, "video": "Panda-70M-part/a.mp4", "type": "Basic Questions", "frame_idx": "1"},
            "Question": "What is <object0><region>?",
            "options": ["(A) A dog", "(B) A cat", "(C) A cow", "(D) A car"],
            "Answer": "(D) A car",
            "annotation": [marked({1: rle((0, 0, 1, 1)), 3: rle((1, 0, 2, 1))})],
        },
    ]
    folder = root / "videorefer" / "VideoRefer-Bench"
    write_json(folder / "VideoRefer-Bench-Q.json", items)
    write_video(folder / "videos" / "Panda-70M-part" / "a.mp4", 6)


def make_bench_d(root: Path) -> None:
    """One object; the second has it on another frame than the one that must be seen."""
    items = [
        {
            **{"id": 1, "video": "a.mp4", "caption": "A man in a blue coat walks.", "frame_idx": "3"},
            "annotation": [marked({2: rle((0, 0, 4, 4)), 3: rle((1, 0, 5, 4)), 5: None})],
        },
        {
            **{"video": "a.mp4", "caption": "A dog sits.", "frame_idx": "0"},
            "annotation": [marked({0: rle((6, 6, 9, 9))})],
        },
    ]
    folder = root / "videorefer" / "VideoRefer-Bench"
    write_json(folder / "VideoRefer-Bench-D.json", items)
    write_video(folder / "videos" / "Panda-70M-part" / "a.mp4", 6)


# Inst-IT

INST_IT = ("inst_it", "Inst-IT-Dataset")


def make_inst_it_pictures(root: Path) -> None:
    """Two captioned objects and one without; a mask of half the picture's size."""
    items = [
        {
            "image_id": 1,
            "image_path": "images/sa/1.jpg",
            "instance_level_caption": {
                "2": {"short": "A tall man.", "long": "A tall man in a hat stands by a tree."},
                "5": {"short": "A hat", "long": "A black hat with a feather."},
            },
            "segmentations": {
                "2": {"mask": rle((2, 2, 6, 10))},
                "5": {"mask": rle((2, 2, 4, 4), width=8, height=6)},
                "6": {"mask": rle((0, 0, 1, 1))},
            },
        },
        {
            "image_id": 2,
            "image_path": "images/2.jpg",
            "instance_level_caption": {"1": {"short": "A cup.", "long": "A white cup."}},
            "segmentations": {"1": {"mask": listed_rle((3, 3, 5, 5))}},
        },
    ]
    folder = root.joinpath(*INST_IT)
    write_json(folder / "inst_it_dataset_image_51k_w_mask.json", items)
    write_picture(folder / "images_raw" / "sa" / "1.jpg", 40)
    write_picture(folder / "images_raw" / "2.jpg", 80)


def asked(*texts: str) -> list[dict[str, str]]:
    return [
        {"question": question, "answer": answer}
        for question, answer in zip(texts[::2], texts[1::2], strict=True)
    ]


def short_video(name: str, count: int, pairs: list[dict[str, str]], ids: range) -> dict[str, Any]:
    """Object i is a column of its own, on the frames from number i on; the first frame has none."""
    frames = {
        f"{name}_{number}.jpg": {
            str(id): {"mask": rle((id, 0, id + 1, 6))} for id in ids if number >= min(id, count - 1)
        }
        for number in range(count)
    }
    return {"video_path": f"videos/set/{name}", "segmentations": frames, "question_answer_pairs": pairs}


def make_inst_it_videos(root: Path) -> None:
    """Slips in the text, an answer that mentions more objects than the question, ids not in order, questions
    without objects, videos of 1, 3, 9, 10 and 11 frames, more than 5 objects in a video and in a question."""
    one = asked("What does [1] do at <2>?", "[1] jumps.")
    many = "[1] [2] [3] [4] [5]"
    items = [
        short_video(
            "a",
            3,
            asked(
                *("What is [02] doing at <0>?", "[02] hits [01] at <3>."),
                *("Is it day?", "Yes."),
                *("Who is [01]?", "A man [9 years] old."),
            ),
            range(1, 4),
        ),
        short_video("b", 9, one, range(1, 2)),
        short_video("c", 10, one, range(1, 2)),
        short_video("d", 11, one, range(1, 2)),
        short_video(
            "e", 2, asked(many, "They run.", f"{many} [6]", "They rest.", "[6]?", "It eats."), range(1, 7)
        ),
        short_video("f", 1, one, range(1, 2)),
    ]
    items[0]["segmentations"]["a_1.jpg"]["2"] = {"mask": None}
    folder = root.joinpath(*INST_IT)
    write_json(folder / "inst_it_dataset_video_21k_w_mask.json", items)
    for item in items:
        for name in item["segmentations"]:
            write_picture(folder / "videos_raw" / "set" / item["video_path"][-1] / name)
    write_picture(folder / "videos_raw" / "set" / "a" / "a_3.jpg")  # not annotated


# Osprey


def outline(x1: int, y1: int, x2: int, y2: int) -> list[list[float]]:
    """A box as a COCO polygon."""
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def picture(number: int, regions: list[Any], **said: Any) -> dict[str, Any]:
    return {
        **{"id": number, "file_name": f"COCO_{number}.jpg", "height": HEIGHT, "width": WIDTH},
        "annotation": [{"segmentation": region} for region in regions],
        **said,
    }


SQUARES = [outline(0, 0, 4, 4), outline(8, 0, 12, 4), outline(0, 6, 4, 10)]


def make_osprey_conversation(root: Path) -> None:
    """Every slip that can be mended, and one item for every reason to be left out."""
    items = [
        picture(
            10,
            SQUARES,
            conversations=talk(
                *("<image>\nIs <region3> left of <region 1>?", "Yes, <region3] is."),
                *("And <Region2>?", "<region of2> is to the right of <regin1>."),
            ),
        ),
        picture(11, SQUARES, conversations=talk("What is <region>?", "A bare tag.")),
        picture(12, SQUARES, conversations=talk("What is <region one>?", "A tag beyond mending.")),
        picture(13, SQUARES, conversations=talk("What is <region4>?", "Out of range.")),
        picture(14, SQUARES, conversations=talk("What is <region0>?", "Counted from 1.")),
        picture(15, [SQUARES[0], []], conversations=talk("What is <region2>?", "Without a mask.")),
        picture(16, SQUARES, conversations=talk("What is this?", "No tag.")),
        picture(17, [rle((1, 1, 3, 3))], conversations=talk("<region1>?", "Region 1 is a bird.")),
    ]
    write_osprey(root, "osprey_conversation.json", "train2014", items)


def make_osprey_pos_neg(root: Path) -> None:
    """Pictures elsewhere."""
    items = [
        picture(
            20,
            SQUARES[:1],
            conversations=talk("Is there a cat in <region1>? Yes or no.", "No.", "A dog?", "Yes."),
        )
    ]
    write_osprey(root, "osprey_lvis_positive_negative.json", "imgs", items)


def make_osprey_detail_description(root: Path) -> None:
    """Descriptions that mention others, and one without its tag."""
    items = [
        picture(
            30,
            SQUARES,
            description=["<region2>: A tree behind <region1>.", "<region 1>: A bench."],
        ),
        picture(31, SQUARES, description=["A tree behind <region1>."]),
    ]
    write_osprey(root, "osprey_detail_description.json", "train2014", items)


def write_osprey(root: Path, file: str, folder: str, items: list[dict[str, Any]]) -> None:
    write_json(root / "osprey" / "Osprey-724K" / file, items)
    for item in items:
        write_picture(root / "osprey" / "coco" / folder / item["file_name"], 50)


# Talk


def make_general(root: Path) -> None:
    """A still, a video and text alone; places for the picture at either end and in the middle; brackets."""
    items = [
        {
            **{"id": "000000033471", "image": "coco/train2017/000000033471.jpg"},
            "conversations": talk(
                "<image>\nWhat colour is the bus?", "White.", "Is <image>\nthere a driver?", "No."
            ),
        },
        {
            **{"id": "v_1", "video": "anet/v_1.mp4", "duration": 12.5},
            "conversations": talk("What happens here?\n<video>", "A man dives."),
        },
        {"id": "wgByO4Y_0", "conversations": talk("What is a[3] in C?", "The fourth item of a.")},
        {
            **{"id": "000000033471", "image": "coco/train2017/000000033471.jpg", "duration": None},
            "conversations": talk("Where is it?\n<image>", "In a street."),
        },
    ]
    write_json(root / "general" / "llava_v1_5_mix665k_with_videogpt_plus_576k.json", items)
    write_picture(root / "llava_instruct" / "coco" / "train2017" / "000000033471.jpg", 60)
    write_video(root / "videogpt_plus" / "anet" / "v_1.mp4", 5)


# Choices

FOLDERS = {
    "action_sequence": "star/Charades_v1_480",
    "action_prediction": "star/Charades_v1_480",
    "action_antonym": "ssv2_video",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "unexpected_action": "FunQA_test/test",
    "object_existence": "clevrer/video_validation",
    "object_interaction": "star/Charades_v1_480",
    "object_shuffle": "perception/videos",
    "moving_direction": "clevrer/video_validation",
    "action_localization": "sta/sta_video",
    "scene_transition": "scene_qa/video",
    "action_count": "perception/videos",
    "moving_count": "clevrer/video_validation",
    "moving_attribute": "clevrer/video_validation",
    "state_change": "perception/videos",
    "fine_grained_pose": "nturgbd",
    "character_order": "perception/videos",
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": "tvqa/frames_fps3_hq",
    "counterfactual_inference": "clevrer/video_validation",
}


def make_mvbench(root: Path) -> None:
    """One question for each of the 20 tasks; clip bounds; episodes of 70, 10 and 62 frames."""
    for task, sub in FOLDERS.items():
        question = {
            "question": "What  happens\nhere? ",
            "candidates": ["a man runs", "A dog barks", "nothing"],
            **{"answer": "A dog barks", "video": f"{task}.mp4"},
        }
        folder = root / "mvbench" / "video" / sub
        items = [question]
        if task == "action_sequence":
            items = [question | {"start": 0.1, "end": 0.26}]
        if task == "episodic_reasoning":
            items = [
                question | {"video": name, "start": 2.0, "end": end, "fps": 3}
                for name, end in (("castle_s01", 5.0), ("friends_s02", 90.0), ("house_s03", 1e3))
            ]
            for item, count in zip(items, (70, 10, 62), strict=True):
                write_frames(folder / item["video"], [f"{number:05d}" for number in range(1, count + 1)])
        else:
            write_video(folder / question["video"], 12)
        write_json(root / "mvbench" / "json" / f"{task}.json", items)


VIDEOMME_ROWS = [
    {
        **{"video_id": "001", "duration": "short", "domain": "Knowledge", "sub_category": "Humanity"},
        **{"url": "https://example.org/1", "videoID": "fFjv93ACGo8", "question_id": "001-1"},
        **{"task_type": "Counting", "question": "How many\n apples?", "answer": "C"},
        "options": ["A. one.", "B. Two.", "C. Three.", "D. Four."],
    },
    {
        **{"video_id": "601", "duration": "long", "domain": "Sports", "sub_category": "Other"},
        **{"url": "https://example.org/2", "videoID": "dQ_-3", "question_id": "601-2"},
        **{"task_type": "OCR", "question": "What is read?", "answer": "A"},
        "options": ["A. Stop", "B. Go", "C. 5. Avenue", "D. None"],
    },
]


def make_videomme(root: Path) -> None:
    """The rows as a JSON list: Parquet needs a library that tests do without."""
    folder = root / "videomme"
    write_json(folder / "test-00000-of-00001.json", VIDEOMME_ROWS)
    for row in VIDEOMME_ROWS:
        write_video(folder / "videos_3fps_480_noaudio" / f"{row['videoID']}.mp4", 4)


def make_original_questions(root: Path) -> None:
    """`videorefer_qa` as its authors publish it: masks in the annotation, no ratio, no files of masks."""
    make_questions(root)
    folder = root.joinpath(*SUITE)
    slim = folder / "videorefer-qa-75k-wo-masks.json"
    items = json.loads(slim.read_text())
    for index, item in enumerate(items):
        del item["ratio"]
        file = folder / "masks_qa" / f"{index}.json"
        masks = json.loads(file.read_text()) if file.exists() else []
        frames = sorted({int(frame) for each in item["annotation"] for frame in each})
        for each, regions in zip(item["annotation"], masks, strict=False):
            for frame, region in zip(frames, regions, strict=True):
                if str(frame) in each:
                    each[str(frame)] = {"segmentation": region[0]}
        file.unlink(missing_ok=True)
    slim.unlink()
    write_json(folder / "videorefer-qa-75k.json", [items[index] for index in (0, 1, 2, 3, 5)])


BUILDERS = {
    "videorefer_short_caption": make_short_captions,
    "videorefer_short_caption_ref": make_short_captions,
    "videorefer_detailed_caption": make_detailed_captions,
    "videorefer_qa": make_questions,
    "videorefer_qa_mem": make_questions,
    "videorefer_bench_q": make_bench_q,
    "videorefer_bench_d": make_bench_d,
    "inst_it_image_short_caption_raw_ref": make_inst_it_pictures,
    "inst_it_video_qa_raw": make_inst_it_videos,
    "inst_it_video_qa_raw_mem": make_inst_it_videos,
    "osprey_conversation": make_osprey_conversation,
    "osprey_pos_neg": make_osprey_pos_neg,
    "osprey_detail_description": make_osprey_detail_description,
    "llava_instruct_665k_videogpt_plus_576k": make_general,
    "mvbench": make_mvbench,
    "videomme": make_videomme,
}
