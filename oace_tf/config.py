"""Configuration of the networks: frozen dataclasses, presets by name, JSON both ways."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oace_tf.errors import UsageError

TRUNKS = ("efficientnet_lite0", "efficientnet_lite2", "mobilenet_v2", "hrnet", "tiny")
FILE_SIDE = 512  # px: the .tflite file takes and gives squares of this side
FRAMES = (256, 320, 384, 448, 512)
RESIZES = ("half_pixel", "aligned", "nearest")  # see networks/resize.py
CLICK_INPUTS = ("oace", "disk", "oace+disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """One pair of networks (prior and MSFNet); the defaults are those of the first weights shipped.

    Raises:
      UsageError: a field outside its range or of another type.
    """

    trunk: str = "efficientnet_lite0"  # of both networks; "hrnet" is the paper's (3.1, 3.2)
    stem_stride: int = 2  # pixels of the frame per cell of MSFNet's finest map: 1, 2 or 4
    prior_stem_stride: int | None = 4  # the same of the prior; None: that of MSFNet
    click_channels: int = 2  # 1: object taps (the paper); 2: object and background taps
    msf: bool = True  # the Multi-Stage-Fusion module (paper 3.2); off in the paper's baseline
    click_input: str = "oace+disk"  # what MSFNet is fed with beside the photograph
    prior_fusion: str = "early"  # "early": image ++ disks (paper 3.1); "late": a stem each, added
    prior_width: int = 64  # channels of the prior's decoder
    msfnet_width: int = 64  # channels of MSFNet's joined features
    msf_width: int = 16  # channels of one arm of an SE-Inception block
    # Fields added later. `to_json` leaves them out at their default, so that files and checkpoints
    # that were made before stay as they are, byte for byte.
    frame: int = 512  # side of the square the networks see while the file's is 512, px
    tap_film: bool = False  # features under the taps scale and shift the others (not in the paper)
    head_width: int | None = None  # channels of MSFNet's head; None: see `width_of_head`
    shared_trunk: bool = False  # one trunk for the photograph serves both networks
    trunk_resize: str = "half_pixel"  # how an HRNet enlarges: as where its first weights come from
    one_trunk: bool = False  # the photograph is encoded once, gestures are decoded from it
    second_query: bool = False  # one trunk: what a first estimate found steers the rest
    deep: bool = False  # one trunk: residual blocks at 1/16 and 1/32, in the neck and in MSFNet
    second_pass: bool = False  # one trunk: MSFNet sees its first answer as the mask before
    refiner: bool = False  # one trunk: the second pass is a network of its own
    second_trunk: str | None = None  # one trunk: another beside it, joined in the neck

    def __post_init__(self) -> None:
        def check(field: str, allowed: tuple[Any, ...]) -> None:
            value = getattr(self, field)
            # `True == 1`, so the type is compared as well.
            if not any(value == a and type(value) is type(a) for a in allowed):
                raise UsageError(f"network configuration: {field} is {value!r}, "
                                 f"expected one of {allowed}")

        check("trunk", TRUNKS)
        check("frame", FRAMES)
        check("stem_stride", (1, 2, 4))
        check("prior_stem_stride", (1, 2, 4, None))
        check("click_channels", (1, 2))
        check("msf", (True, False))
        check("click_input", CLICK_INPUTS)
        check("prior_fusion", ("early", "late"))
        check("tap_film", (True, False))
        check("shared_trunk", (True, False))
        check("one_trunk", (True, False))
        for field in ("second_query", "deep", "second_pass"):
            check(field, (True, False) if self.one_trunk else (False,))
        check("refiner", (True, False) if self.second_pass else (False,))
        trunks = tuple(name for name in TRUNKS if name != "hrnet")
        check("second_trunk", (*trunks, None) if self.one_trunk else (None,))
        if self.one_trunk:  # see networks.one_trunk
            check("trunk", trunks)
            check("shared_trunk", (False,))
            check("stem_stride", (2,))
        if self.shared_trunk:  # it sees the photograph alone, and both networks start from it
            check("prior_stem_stride", (None,))
            check("prior_fusion", ("late",))
            check("click_input", ("oace", "oace+disk"))
        check("trunk_resize", RESIZES if self.trunk == "hrnet" else RESIZES[:1])
        for field in ("prior_width", "msfnet_width", "msf_width", "head_width"):
            value = getattr(self, field)
            if field == "head_width" and value is None:
                continue
            if type(value) is not int or not 4 <= value <= 512 or value % 2:
                raise UsageError(f"network configuration: {field} is {value!r}, "
                                 "expected an even number in [4, 512]")

    @property
    def has_prior(self) -> bool:
        """Whether the pair has a prior (not where MSFNet is fed with the plain disk)."""
        return self.click_input != "disk"

    def network_side(self, file_side: int) -> int:
        """Return the side of the networks' square where the file's has `file_side` px.

        A multiple of 64, as every trunk takes it, unless the two are the same.
        """
        if self.frame == FILE_SIDE:
            return file_side
        return 64 * max(1, round(file_side * self.frame / FILE_SIDE / 64))

    def file_side(self, network_side: int) -> int:
        """Return the side of the file's square where the networks' has `network_side` px."""
        return round(network_side * FILE_SIDE / self.frame)

    @property
    def stride_of_prior(self) -> int:
        """The stem stride of the prior, resolved."""
        return self.stem_stride if self.prior_stem_stride is None else self.prior_stem_stride

    @property
    def width_of_head(self) -> int:
        """The channels of MSFNet's head (its second half has half of them), resolved."""
        if self.head_width is not None:
            return self.head_width
        return 64 if self.trunk == "hrnet" else self.msfnet_width // 2

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object, `_ADDED` ones only where they say something."""
        return {name: value for name, value in dataclasses.asdict(self).items()
                if name not in _ADDED or value != _ADDED[name]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], where: str = "") -> NetworkConfig:
        """Build from a JSON object; every key must be known, missing ones keep their default.

        Raises:
          UsageError: an unknown key or a bad value; the message starts with `where`.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            if not isinstance(fields, Mapping):
                raise UsageError("a network configuration is an object, got "
                                 f"{type(fields).__name__}")
            unknown = sorted(set(fields) - known)
            if unknown:
                raise UsageError(f"network configuration: unknown key {unknown[0]!r}, "
                                 f"known are {', '.join(sorted(known))}")
            return cls(**fields)
        except UsageError as error:
            raise UsageError(f"{where}: {error}" if where else str(error)) from None
        except (TypeError, ValueError) as error:
            raise UsageError(f"{where}: network configuration: a value of the wrong kind "
                             f"({error})") from error

    @classmethod
    def preset(cls, name: str) -> NetworkConfig:
        """Return a preset by name (see `PRESETS`).

        Raises:
          UsageError: no such preset.
        """
        try:
            return PRESETS[name]
        except KeyError:
            raise UsageError(f"no preset {name!r}; there are {', '.join(PRESETS)}") from None


# The fields added later, with their defaults.
_ADDED: Mapping[str, Any] = {"frame": FILE_SIDE, "tap_film": False, "head_width": None,
                             "shared_trunk": False, "trunk_resize": "half_pixel",
                             "one_trunk": False, "second_query": False, "deep": False,
                             "second_pass": False, "refiner": False, "second_trunk": None}

# Slim: the trunks are 25.6 of 28.6 GMAC. Widths as in the light pair, where they carry the same
# information at the same resolution; the rows of the paper's table keep the wide ones.
_HRNET = NetworkConfig(trunk="hrnet", stem_stride=4, prior_stem_stride=None, prior_width=64,
                       msfnet_width=64, head_width=48, click_input="oace")
_PAPER = NetworkConfig(trunk="hrnet", stem_stride=4, prior_stem_stride=None, prior_width=128,
                       msfnet_width=96, click_input="oace", click_channels=1)

PRESETS: Mapping[str, NetworkConfig] = {
    "efficientnet_lite0": NetworkConfig(frame=384, tap_film=True),
    "one_trunk": NetworkConfig(one_trunk=True, frame=384, second_query=True, deep=True,
                               second_pass=True),
    "one_trunk_refined": NetworkConfig(one_trunk=True, frame=384, second_query=True, deep=True,
                                       second_pass=True, refiner=True),
    "two_trunks": NetworkConfig(one_trunk=True, frame=384, second_query=True, deep=True,
                                second_pass=True, refiner=True, second_trunk="mobilenet_v2"),
    "one_trunk_lite2": NetworkConfig(trunk="efficientnet_lite2", one_trunk=True, frame=384,
                                     second_query=True, deep=True, second_pass=True),
    "hrnet": _HRNET,
    "hrnet_shared": dataclasses.replace(_HRNET, shared_trunk=True, prior_fusion="late",
                                        tap_film=True, prior_width=56, msf_width=12,
                                        head_width=32),
    # The rows of the paper's table 2.
    "paper_baseline": dataclasses.replace(_PAPER, click_input="disk", msf=False),
    "paper_msfnet": dataclasses.replace(_PAPER, click_input="disk"),
    "paper_msfnet_oace": _PAPER,
    # A pair of a few thousand parameters for tests: builds, trains, converts in seconds.
    "tiny": NetworkConfig(trunk="tiny", prior_width=8, msfnet_width=8, msf_width=4),
    "tiny_one_trunk": NetworkConfig(trunk="tiny", one_trunk=True, second_query=True, deep=True,
                                    second_pass=True),
    "tiny_one_trunk_refined": NetworkConfig(trunk="tiny", one_trunk=True, second_query=True,
                                            deep=True, second_pass=True, refiner=True),
    "tiny_two_trunks": NetworkConfig(trunk="tiny", second_trunk="tiny", one_trunk=True,
                                     second_query=True, deep=True, second_pass=True, refiner=True),
}
