"""Opening, saving and converting checkpoints: `unipixel.load` and its counterparts."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from unipixel.core.mask_options import PUBLISHED_WAY, MaskOptions
from unipixel.errors import ConfigError, OutputError, WeightsError
from unipixel.footprint import check_memory, estimate_bytes
from unipixel.hub import find_checkpoint, find_sam2, is_adapter
from unipixel.inference.mask_way import MaskWay
from unipixel.inference.propagation import Propagator
from unipixel.model import checkpoint as layouts
from unipixel.model.checkpoint import Layout, read_config, shapes_of, write_checkpoint
from unipixel.model.compiling import compile_parts
from unipixel.model.config import ModelConfig
from unipixel.model.families import get_family, plain_family
from unipixel.model.own_parts import check_consent
from unipixel.model.quantise import check_form, is_quantised, quantise_language, saved_bytes
from unipixel.model.sam2 import Sam2, Sam2Config
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import (
    adapter_name,
    check_fit,
    grow_vocabulary,
    load_state,
    merge_adapter,
    merged_names,
    published_state,
    read_json,
    read_sam2_state,
    read_shapes,
    read_tensors,
    shapes_in,
    weight_files,
)
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor
from unipixel.processing.tokenizer import Tokenizer

log = logging.getLogger(__name__)

POSITION_MATRICES = (
    "ref_encoder.pe_layer.positional_encoding_gaussian_matrix",
    "tem_pe.positional_encoding_gaussian_matrix",
    "sam2.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
)
"""Random matrices that published adapter checkpoints leave out (docs/parity.md)."""
POSITION_SEED = 0
SAM2_PRESETS = ("t", "s", "b+", "l")
"""Meta's sizes."""
OWN_PARTS = ("seg_head.", "ref_encoder.", "ref_proj", "tem_", "msk_proj.")
"""What a fresh model does not find in its base and SAM 2.1 (published prefixes)."""


def load(
    name_or_path: str | os.PathLike[str] = "unipixel-tiny",
    *,
    device: str = "auto",
    dtype: str | torch.dtype = "auto",
    base: str | os.PathLike[str] | None = None,
    sam2: str | os.PathLike[str] | None = None,
    sam2_preset: str | None = None,
    seed: int | None = None,
    trust_code: bool = False,
    language: str = "full",
    compiled: bool = False,
    masks: MaskOptions = PUBLISHED_WAY,
) -> Predictor:
    """Open a model.

    name_or_path: a bundled name, a folder, or a hub id. A folder may hold a checkpoint in our layout or the
    published one (one file or shards), an adapter (its base is found through its config or given as `base`),
    or a plain Qwen2.5-VL or Qwen3-VL, which together with Meta's SAM 2.1 file (`sam2`, of size
    `sam2_preset`) makes a fresh, untrained model; its own parts are drawn by `seed`. None of these four is
    taken where the checkpoint has no use for it; where it has, `sam2_preset` is "b+" and `seed` 0 unless
    given. device: "auto" (cuda, mps or cpu) or a torch device; dtype: "auto" (bfloat16 on cuda, else
    float32) or a torch dtype's name. trust_code: run the code of parts of a user's own that the checkpoint
    names. language: "full", or "int8" for a language model with 8-bit weights and all else as it is (needs
    torchao; cpu and cuda); such a model only answers. compiled: compile what has fixed shapes, once, now;
    where that fails, a warning says so and nothing is compiled. masks: how masks are made of answers; the
    published way unless said otherwise.

    Raises WeightsError when something is missing, unexpected or does not fit, into memory too, and
    ConfigError for an option without use; nothing is ignored.
    """
    place = choose_device(device)
    check_form(language, place)
    target = _Target(place, choose_dtype(dtype, place), trust_code, int8=language == "int8")
    folder = find_checkpoint(name_or_path)
    given = _Given(base, Path(sam2) if sam2 is not None else None, sam2_preset, seed)
    if is_adapter(folder):
        given.check_used("an adapter", "base", "sam2")
        opened = _open_adapter(folder, given, target)
    elif family := plain_family(read_json(folder / layouts.CONFIG)):
        title = get_family(family).title
        given.check_used(f"a plain {title}", "sam2", "sam2_preset", "seed")
        opened = _start_fresh(folder, title, given, target)
    else:
        given.check_used("a whole checkpoint")
        opened = _open_whole(folder, target)
    opened.model.eval().requires_grad_(False)
    if target.int8:
        quantise_language(opened.model, place)
    opened.model.to(place)
    if compiled:
        compile_parts(opened.model)
    terms = opened.config.licences
    log.info(
        "opened %s; licences: weights %s; base %s; data %s", folder, terms.weights, terms.base, terms.data
    )
    return with_masks(opened, masks)


def with_masks(opened: Predictor, options: MaskOptions) -> Predictor:
    """The same model, with another way to make masks of its answers. WeightsError if the weights that are to
    follow objects cannot be opened or are of no known size."""
    if options == opened.way.options:
        return opened
    named = options.propagate_with
    propagator = open_propagator(named, opened) if named is not None else None
    return replace(opened, way=MaskWay(options, propagator))


def open_propagator(named: str | os.PathLike[str], opened: Predictor) -> Propagator:
    """Weights of SAM 2.1 that follow the objects of an opened model, where it is and in its precision.

    named: Meta's file, a folder with one, a checkpoint of ours or the published layout (of which only the
    mask decoder is taken), or a hub id of either. Sizes are those of an architecture file beside it, else
    those of the opened model or of a preset, whichever fits. Raises WeightsError.
    """
    source, state = _read_sam2(named)
    for sizes in _possible_sizes(source, opened.config.sam2):
        with torch.device("meta"):
            wanted = {f"sam2.{name}": one.shape for name, one in Sam2(sizes).state_dict().items()}
        if wanted == {name: one.shape for name, one in state.items()}:
            break
    else:
        raise WeightsError(
            f"{source} holds no SAM 2.1 weights of a known size; give Meta's file, or a checkpoint with its "
            f"{layouts.CONFIG}"
        )
    with _default_dtype(opened.dtype):
        sam2 = Sam2(sizes)
    sam2.load_state_dict({name.removeprefix("sam2."): one for name, one in state.items()})
    return Propagator(sam2.eval().requires_grad_(False).to(opened.device))


def _read_sam2(named: str | os.PathLike[str]) -> tuple[Path, dict[str, Tensor]]:
    """The file or folder that holds a mask decoder's weights, and those, under `sam2.*`."""
    place = find_sam2(named)
    if place.is_file():
        return place, read_sam2_state(place)
    state = {adapter_name(name): one for name, one in read_tensors(weight_files(place)).items()}
    return place, {name: one for name, one in state.items() if name.startswith("sam2.")}


def _possible_sizes(place: Path, own: Sam2Config) -> Iterator[Sam2Config]:
    """Sizes that weights may have, the likeliest first."""
    folder = place if place.is_dir() else place.parent
    if os.path.isfile(folder / layouts.ARCHITECTURE):
        with layouts.blame(folder / layouts.ARCHITECTURE):
            yield Sam2Config.from_architecture(read_json(folder / layouts.ARCHITECTURE))
    config = read_json(folder / layouts.CONFIG) if place.is_dir() else {}
    if isinstance(config.get("sam2"), dict):  # our layout
        with layouts.blame(folder / layouts.CONFIG):
            yield Sam2Config.from_architecture(config["sam2"])
    yield own
    for preset in SAM2_PRESETS:
        yield Sam2Config.preset(preset, image_size=own.image_size)


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


@dataclass(frozen=True)
class _Target:
    """Where a model's weights will lie, and as what; whether a checkpoint's own code may run, and whether the
    language model becomes int8."""

    device: torch.device
    dtype: torch.dtype
    trust_code: bool = False
    int8: bool = False

    def check_room(self, shapes: Mapping[str, tuple[int, ...]], source: str, merging: int = 0) -> None:
        """WeightsError if weights of these shapes cannot fit (`footprint.check_memory`)."""
        saved = saved_bytes(shapes, self.dtype) if self.int8 else 0
        check_memory(shapes, self.dtype, self.device, source, merging=merging, saved=saved)


@dataclass(frozen=True)
class _Given:
    """What a caller gave beside the folder; None for what was not given."""

    base: str | os.PathLike[str] | None
    sam2: Path | None
    sam2_preset: str | None
    seed: int | None

    def check_used(self, kind: str, *used: str) -> None:
        """ConfigError if something was given that a folder of this kind has no use for."""
        given = [option.name for option in fields(self) if getattr(self, option.name) is not None]
        spare = [name for name in given if name not in used]
        if spare:
            use = f"; it takes {' and '.join(used)}" if used else ""
            raise ConfigError(f"{kind} is opened without {', '.join(spare)}{use}: leave {spare[0]} out")


def _open_whole(folder: Path, target: _Target) -> Predictor:
    tokenizer = Tokenizer.open(folder)
    config = read_config(folder, tokenizer.ids())
    check_consent(config.own_parts, target.trust_code, str(folder))
    files = weight_files(folder)
    shapes = _shapes(config, folder)
    check_fit(shapes, read_shapes(files), str(folder))
    target.check_room(shapes, str(folder))
    model = empty_model(config, target.dtype)
    load_state(model, read_tensors(files), str(folder))
    return Predictor(model, Processor(config, tokenizer), (folder,))


def _shapes(config: ModelConfig, folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the model that a folder describes; WeightsError if it cannot be built."""
    with layouts.blame(folder / layouts.CONFIG):
        return shapes_of(config)


def _open_adapter(folder: Path, given: _Given, target: _Target) -> Predictor:
    base_folder = _find_base(folder, given.base)
    source = f"{folder} over {base_folder}"
    tokenizer = Tokenizer.open(folder)
    config = read_config(folder, tokenizer.ids())
    check_consent(config.own_parts, target.trust_code, str(folder))
    shapes = _shapes(config, folder)
    merged = {name: shapes[name] for name in merged_names(folder) if name in shapes}
    target.check_room(shapes, source, estimate_bytes(merged, torch.float32))
    state = _read_base(base_folder)
    if given.sam2 is not None:
        state |= read_sam2_state(given.sam2)
    state = _with_position_matrices(merge_adapter(state, folder), shapes, folder)
    check_fit(shapes, shapes_in(state), source)
    model = empty_model(config, target.dtype)
    load_state(model, state, source)
    return Predictor(model, Processor(config, tokenizer), (folder, base_folder))


def _read_base(folder: Path) -> dict[str, Tensor]:
    """The weights of a plain base model or a whole checkpoint under published names."""
    return {adapter_name(name): one for name, one in read_tensors(weight_files(folder)).items()}


def _find_base(folder: Path, base: str | os.PathLike[str] | None) -> Path:
    """The folder that an adapter lies over: the given one, or the one that its configuration names."""
    named = base or read_json(folder / layouts.CONFIG).get("base_model_path")
    if not named or not isinstance(named, str | os.PathLike):
        raise WeightsError(
            f"the adapter {folder} names no base_model_path in its {layouts.CONFIG}; give base=…"
        )
    relative = folder / os.fspath(named)
    if os.path.isdir(relative):
        return relative
    try:
        return find_checkpoint(named)
    except WeightsError as error:
        raise WeightsError(
            f"the base of the adapter {folder} cannot be opened; give its folder as base=… ({error})"
        ) from error


def _with_position_matrices(
    state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], folder: Path
) -> dict[str, Tensor]:
    """Draw the matrices that a partial file left out, from a fixed seed, and say so."""
    filled = dict(state)
    generator = torch.Generator().manual_seed(POSITION_SEED)
    missing = [name for name in POSITION_MATRICES if name not in filled]
    for name in missing:
        filled[name] = torch.randn(shapes[name], generator=generator)
    if missing:
        warnings.warn(
            f"{folder} does not hold the random position matrices with which it was trained "
            f"({', '.join(missing)}); they were drawn "
            f"anew, so answers that use clicks, boxes or masks differ from those in training",
            stacklevel=4,
        )
    return filled


def _start_fresh(folder: Path, title: str, given: _Given, target: _Target) -> Predictor:
    """A base model, `title` to people, + SAM 2.1 -> a model whose own parts are freshly initialised; new
    training takes the corrected choices."""
    if given.sam2 is None:
        raise WeightsError(
            f"{folder} is a plain {title}; give Meta's SAM 2.1 file to start a fresh model: "
            f"load({str(folder)!r}, sam2='….pt')"
        )
    preset = given.sam2_preset or "b+"
    source = f"{folder} with {given.sam2} (size {preset!r})"
    tokenizer = Tokenizer.open(folder, add_tokens=True)
    rows = tokenizer.ids().rows
    sizes = _sam2_sizes(given.sam2, preset)
    with layouts.blame(folder / layouts.CONFIG):
        config = layouts.from_published(read_json(folder / layouts.CONFIG), tokenizer.ids(), sizes)
        config = layouts.with_vocabulary(layouts.with_defects(config, published=False), rows)
    config = replace(config, licences=layouts.FRESH_LICENCES)
    shapes = _shapes(config, folder)
    target.check_room(shapes, source)
    parts = grow_vocabulary(_read_base(folder), rows) | read_sam2_state(given.sam2)
    check_fit(_brought(shapes), _brought(shapes_in(parts)), source)
    with _seeded(given.seed or 0):
        model = _model_for_parts(config, target.dtype)
        own = {name: tensor for name, tensor in published_state(model).items() if name.startswith(OWN_PARTS)}
        load_state(model, own | parts, source)
        layouts.initialise_own_parts(model)
    return Predictor(model, Processor(config, tokenizer), (folder, given.sam2))


def _brought(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Those of a model's tensors that a fresh one finds in its base and SAM 2.1."""
    return {name: shape for name, shape in shapes.items() if not name.startswith(OWN_PARTS)}


def _sam2_sizes(file: Path, preset: str) -> Sam2Config:
    """Sizes of Meta's file: those of an architecture file beside it, else those of the preset."""
    named = Sam2Config.preset(preset)  # refuses unknown ones even where they do not count
    architecture = file.parent / layouts.ARCHITECTURE
    if not os.path.isfile(architecture):
        return named
    with layouts.blame(architecture):
        return Sam2Config.from_architecture(read_json(architecture))


def _model_for_parts(config: ModelConfig, dtype: torch.dtype) -> UniPixel:
    """A model about to be filled with a backbone and a mask decoder; its own parts are initialised.

    Of what will be overwritten only the backbone is left uninitialised: the rest takes half a second.
    """
    from transformers.initialization import no_init_weights

    with _default_dtype(dtype):
        with no_init_weights():
            backbone = layouts.build_backbone(config)
        return UniPixel(config, backbone)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Inside, random numbers follow `seed`; afterwards they go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


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
    cannot be written, and for an int8 model, which is no longer what it was opened from.
    """
    if is_quantised(predictor.model):
        raise OutputError(
            "the language model's weights are int8, which no checkpoint holds; open the model without "
            "language='int8' and save that"
        )
    target = Path(folder)
    config = predictor.config
    if force and layout == "published":
        config = replace(config, region_order="window", seconds="published")
    layouts.describe(config, layout)  # refuses before anything is written
    if os.path.exists(target):
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
