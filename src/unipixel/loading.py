"""Opening, saving and converting checkpoints: `unipixel.load` and its counterparts."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from unipixel.errors import ConfigError, OutputError, WeightsError
from unipixel.model import checkpoint as layouts
from unipixel.model.checkpoint import Layout, read_config, write_checkpoint
from unipixel.model.config import ModelConfig
from unipixel.model.sam2 import Sam2Config
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import (
    grow_vocabulary,
    load_state,
    merge_adapter,
    published_state,
    read_json,
    read_sam2_state,
    read_shapes,
    read_tensors,
    weight_files,
)
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor
from unipixel.processing.tokenizer import Tokenizer

BUNDLED = ("unipixel-tiny",)
"""Models that come with the package."""
PUBLISHED = ("PolyU-ChenLab/UniPixel-3B", "PolyU-ChenLab/UniPixel-7B")
"""Published checkpoints on the model hub."""
POSITION_MATRICES = (
    "ref_encoder.pe_layer.positional_encoding_gaussian_matrix",
    "tem_pe.positional_encoding_gaussian_matrix",
    "sam2.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
)
"""Random matrices that published adapter checkpoints leave out (architecture.md section 4)."""
POSITION_SEED = 0
OWN_PARTS = ("seg_head.", "ref_encoder.", "ref_proj", "tem_", "msk_proj.")
"""What a fresh model does not find in Qwen2.5-VL and SAM 2.1 (published prefixes)."""


def load(
    name_or_path: str | os.PathLike[str] = "unipixel-tiny",
    *,
    device: str = "auto",
    dtype: str | torch.dtype = "auto",
    base: str | os.PathLike[str] | None = None,
    sam2: str | os.PathLike[str] | None = None,
    sam2_preset: str = "b+",
) -> Predictor:
    """Open a model.

    name_or_path: a bundled name, a folder, or a hub id. A folder may hold a checkpoint in our layout or the
    published one (one file or shards), an adapter (its base is found through its config or given as `base`),
    or a plain Qwen2.5-VL, which together with Meta's SAM 2.1 file (`sam2`, of size `sam2_preset`) makes a
    fresh, untrained model. device: "auto" (cuda, mps or cpu) or a torch device; dtype: "auto" (bfloat16 on
    cuda, else float32) or a torch dtype's name. Raises WeightsError when something is missing, unexpected or
    does not fit; nothing is ignored.
    """
    target = choose_device(device)
    kind = choose_dtype(dtype, target)
    folder = find_checkpoint(name_or_path)
    if is_adapter(folder):
        opened = _open_adapter(folder, base, sam2, kind)
    elif read_json(folder / layouts.CONFIG).get("model_type") in layouts.BASE_TYPES:
        opened = _start_fresh(folder, sam2, sam2_preset, kind)
    else:
        opened = _open_whole(folder, kind)
    opened.model.eval().requires_grad_(False).to(target)
    return opened


def choose_device(device: str) -> torch.device:
    """`auto` -> cuda, mps or cpu, whichever is there; ConfigError for a device that is not."""
    if device == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {device!r} cannot be used here ({str(error).splitlines()[0]}); try 'auto' or 'cpu'"
        ) from error
    return chosen


def choose_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """`auto` -> bfloat16 on cuda, float32 elsewhere."""
    if isinstance(dtype, torch.dtype):
        if not dtype.is_floating_point:
            raise ConfigError(f"weights cannot be {dtype}; choose float32, bfloat16 or float16")
        return dtype
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in known:
        raise ConfigError(f"unknown dtype {dtype!r}; choose auto, {', '.join(known)}")
    return known[dtype]


def find_checkpoint(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a bundled model, a local path or a hub id (fetched if need be)."""
    name = os.fspath(name_or_path)
    if name in BUNDLED:
        return Path(str(resources.files("unipixel"))) / "checkpoints" / name
    path = Path(name)
    if path.is_dir():
        if not (path / layouts.CONFIG).is_file():
            raise WeightsError(f"{path} is no checkpoint: it holds no {layouts.CONFIG}")
        return path
    if path.exists():
        raise WeightsError(f"{path} is a file; give the checkpoint's folder")
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return _fetch(name)
    closest = difflib.get_close_matches(name, [*BUNDLED, *PUBLISHED], n=1, cutoff=0.3)
    hint = f"; did you mean {closest[0]!r}?" if closest else "."
    raise WeightsError(
        f"unknown model {name!r}{hint} Give a folder, a hub id (owner/name) or one of: "
        f"{', '.join([*BUNDLED, *PUBLISHED])}"
    )


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        closest = difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.6)
        hint = f" Did you mean {closest[0]!r}?" if closest and closest[0] != name else ""
        raise WeightsError(
            f"{name!r} is no local folder, and the model hub did not give it ({type(error).__name__}).{hint} "
            f"Check the name and the connection, or fetch it elsewhere and give its folder."
        ) from error


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds only what training changed, to be laid over a base."""
    return any(
        (folder / name).is_file() for name in ("adapter_model.safetensors", "pytorch_model.safetensors")
    )


def _open_whole(folder: Path, dtype: torch.dtype) -> Predictor:
    tokenizer = Tokenizer.open(folder)
    config = read_config(folder, tokenizer.ids())
    files = weight_files(folder)
    check_memory(read_shapes(files), dtype, folder)
    model = empty_model(config, dtype)
    load_state(model, read_tensors(files), str(folder))
    return Predictor(model, Processor(config, tokenizer), (folder,))


def _open_adapter(
    folder: Path, base: str | os.PathLike[str] | None, sam2: str | os.PathLike[str] | None, dtype: torch.dtype
) -> Predictor:
    base_folder = _find_base(folder, base)
    tokenizer = Tokenizer.open(folder)
    config = read_config(folder, tokenizer.ids())
    state = read_tensors(weight_files(base_folder))
    if sam2 is not None:
        state |= read_sam2_state(Path(sam2))
    state = merge_adapter(state, folder)
    model = empty_model(config, dtype)
    load_state(model, _with_position_matrices(state, model, folder), f"{folder} over {base_folder}")
    return Predictor(model, Processor(config, tokenizer), (folder, base_folder))


def _find_base(folder: Path, base: str | os.PathLike[str] | None) -> Path:
    """The folder that an adapter lies over: the given one, or the one that its configuration names."""
    named = base or read_json(folder / layouts.CONFIG).get("base_model_path")
    if not named:
        raise WeightsError(
            f"the adapter {folder} names no base_model_path in its {layouts.CONFIG}; give base=…"
        )
    relative = folder / os.fspath(named)
    if relative.is_dir():
        return relative
    try:
        return find_checkpoint(named)
    except WeightsError as error:
        raise WeightsError(
            f"the base of the adapter {folder} cannot be opened; give its folder as base=… ({error})"
        ) from error


def _with_position_matrices(state: Mapping[str, Tensor], model: UniPixel, folder: Path) -> dict[str, Tensor]:
    """Draw the matrices that a partial file left out, from a fixed seed, and say so."""
    filled = dict(state)
    generator = torch.Generator().manual_seed(POSITION_SEED)
    own = {name: tensor for name, tensor in published_state(model).items() if name in POSITION_MATRICES}
    missing = [name for name in POSITION_MATRICES if name not in filled]
    for name in missing:
        filled[name] = torch.randn(own[name].shape, generator=generator)
    if missing:
        warnings.warn(
            f"{folder} does not hold the random position matrices with which it was trained "
            f"({', '.join(missing)}); they were drawn "
            f"anew, so answers that use clicks, boxes or masks differ from those in training",
            stacklevel=4,
        )
    return filled


def _start_fresh(
    folder: Path, sam2: str | os.PathLike[str] | None, sam2_preset: str, dtype: torch.dtype
) -> Predictor:
    """Qwen2.5-VL + SAM 2.1 -> a model whose own parts are freshly initialised; new
    training takes the corrected choices."""
    if sam2 is None:
        raise WeightsError(
            f"{folder} is a plain Qwen2.5-VL; give Meta's SAM 2.1 file to start a fresh model: "
            f"load({str(folder)!r}, sam2='….pt')"
        )
    tokenizer = Tokenizer.open(folder, add_tokens=True)
    content = read_json(folder / layouts.CONFIG)
    sizes = Sam2Config.preset(sam2_preset)
    architecture = Path(sam2).parent / layouts.ARCHITECTURE
    if architecture.is_file():
        sizes = Sam2Config.from_architecture(read_json(architecture))
    config = layouts.with_defects(layouts.from_published(content, tokenizer.ids(), sizes), published=False)
    rows = tokenizer.ids().rows
    config = layouts.with_vocabulary(config, rows)
    with _default_dtype(dtype):
        model = layouts.build_model(config)
    given = grow_vocabulary(read_tensors(weight_files(folder)), rows) | read_sam2_state(Path(sam2))
    own = {name: tensor for name, tensor in published_state(model).items() if name.startswith(OWN_PARTS)}
    load_state(model, own | given, f"{folder} with {sam2} (size {sam2_preset!r})")
    layouts.start_from_parts(model)
    return Predictor(model, Processor(config, tokenizer), (folder, Path(sam2)))


def empty_model(config: ModelConfig, dtype: torch.dtype) -> UniPixel:
    """A model about to be filled: its memory is reserved but not initialised."""
    from transformers.initialization import no_init_weights

    with no_init_weights(), _default_dtype(dtype):
        return UniPixel(config, layouts.build_backbone(config))


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def estimate_bytes(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> int:
    """Bytes that a checkpoint's tensors take once loaded."""
    return sum(torch.Size(shape).numel() for shape in shapes.values()) * dtype.itemsize


def check_memory(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, folder: Path) -> None:
    """WeightsError before anything is read if the weights alone cannot fit into this machine's memory."""
    needed = estimate_bytes(shapes, dtype)
    available = _available_bytes()
    if available is not None and needed > available:
        raise WeightsError(
            f"{folder} needs {needed / 1e9:.1f} GB as {str(dtype).removeprefix('torch.')}, but "
            f"{available / 1e9:.1f} GB are free; "
            f"try dtype='bfloat16' or a smaller model"
        )


def _available_bytes() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _cached_bytes()
    except (ValueError, OSError, AttributeError):
        return None


def _cached_bytes() -> int:
    """Memory that the system gives back when asked (Linux page cache)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return max(0, sizes.get("MemAvailable", 0) - sizes.get("MemFree", 0))


def save(
    predictor: Predictor,
    folder: str | os.PathLike[str],
    *,
    layout: Layout = "unipixel",
    dtype: torch.dtype | None = None,
    force: bool = False,
) -> Path:
    """Write a whole checkpoint: into a temporary folder beside the target first, so that a failure leaves
    nothing half-written.

    layout: "unipixel" (ours; keeps every named choice) or "published" (refuses choices that its reader would
    not make, unless `force`; the predictor itself keeps them). Raises OutputError for a target that exists or
    cannot be written.
    """
    target = Path(folder)
    config = predictor.config
    if force and layout == "published":
        config = replace(config, region_order="window", seconds="published")
    layouts.describe(config, layout)  # refuses before anything is written
    if target.exists():
        raise OutputError(f"{target} exists already; choose a new folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"{target.parent} cannot be written ({error.strerror}); choose another folder"
        ) from error
    try:
        write_checkpoint(predictor.model, config, scratch, layout, dtype)
        predictor.processor.tokenizer.save(scratch)
        scratch.chmod(0o755)
        scratch.rename(target)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{target} cannot be written ({reason}); nothing was left behind") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
