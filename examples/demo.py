"""`make demo`: a trained model segments a named object in a video and a picture, then in 50 clips never seen.

The files in examples/media (H.264 and JPEG) are made-up scenes of the test split; true masks lie beside them.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import unipixel
from unipixel.core.writing import write_picture
from unipixel.evaluation.fresh_clips import evaluate, mean_iou
from unipixel.output.draw import overlay
from unipixel.output.export import write_overlay

MEDIA = Path(__file__).parent / "media"
OUT = Path("build/demo")
DEMO_IOU = 0.6
SHEET_FRAMES = 4


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    model = unipixel.load("unipixel-tiny")
    size = sum(parameter.numel() for parameter in model.model.parameters())
    print(f"{model.config.name}: {size / 1e6:.1f} M parameters on {model.device}\n")
    scores = [show(model, MEDIA / name) for name in ("shapes.mp4", "still.jpg")]

    with tempfile.TemporaryDirectory() as folder:
        report = evaluate(model.answer, 50, Path(folder))
    print(report)
    good = min(scores) >= DEMO_IOU and report.passed
    reached = f"IoU {scores[0]:.3f} and {scores[1]:.3f} on the two files, at least {DEMO_IOU} each"
    print(f"\ndemo {'PASS' if good else 'FAIL'}: {reached}")
    return 0 if good else 1


def show(model: unipixel.Predictor, path: Path) -> float:
    """Ask for the named object of one file, draw the answer, and compare it with the truth."""
    facts = json.loads(path.with_suffix(".json").read_text())
    clip = unipixel.Clip.open(path)
    question = f"Please segment the {facts['expression']} in this {'image' if clip.is_image else 'video'}."
    response = model.ask(clip, question)
    print(f"{path.name}, {clip.width}x{clip.height}, {clip.num_frames} frames")
    print(f"  you:      {question}\n  unipixel: {response.text}")
    if not response.objects:
        return 0.0
    masks = response.objects[0].masks
    drawn = OUT / f"{path.stem}_overlay{'.png' if clip.is_image else '.mp4'}"
    write_overlay(drawn, clip, {0: masks})
    write_sheet(OUT / f"{path.stem}_sheet.png", clip, masks)
    truth = [np.asarray(Image.open(path.parent / mask)) == facts["target"] + 1 for mask in facts["masks"]]
    iou = mean_iou(masks.to_array(), np.stack(truth))
    print(f"  masks on {sum(frame.present for frame in masks)} of {len(masks)} frames, drawn in {drawn}")
    print(f"  mean IoU with the truth {iou:.3f}\n")
    return iou


def write_sheet(path: Path, clip: unipixel.Clip, masks: unipixel.MaskTrack) -> None:
    """Some frames with their masks, side by side."""
    count = min(SHEET_FRAMES, clip.num_frames)
    indices = np.linspace(0, clip.num_frames - 1, count).round().astype(int).tolist()
    frames = clip.read(indices)
    drawn = [
        overlay(frame, {0: masks.frames[i].rle.decode()}) for i, frame in zip(indices, frames, strict=True)
    ]
    write_picture(path, np.concatenate(drawn, axis=1))


if __name__ == "__main__":
    sys.exit(main())
