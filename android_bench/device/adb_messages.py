"""The messages of adb (29.0.6, 36.0.0), of adbutils and of the device's shell, in words.

Pure functions over text; exit codes prove nothing here: `adb connect` gives 0 when it was refused.
"""
from __future__ import annotations

import re

# (kind, what the message looks like); the first that fits counts
_KINDS = (
    ("several", r"more than one (?:device|emulator|device/emulator)"),
    ("unauthorized", r"unauthorized|failed to authenticate|device still authorizing"),
    ("offline", r"device offline|(?:is|in state) offline|device still connecting|"
                r"transport (?:error|offline)"),
    ("none", r"no devices(?:/emulators)? found|device '[^']*' not found|no such device|"
             r"Can't find any android device"),
    ("refused", r"failed to connect to|unable to connect to|cannot connect to|"
                r"failed to resolve host|bad port number"),
    ("server", r"cannot connect to daemon|failed to start daemon|ADB server didn't ACK|"
               r"connect to adb server"),
    ("full", r"[Nn]o space left on device"),
    ("permission", r"failed to copy .*(?:Permission denied|secure_mkdirs)|"
                   r"couldn't create file|Read-only file system"),
    ("missing", r"adb: error: (?:cannot stat|failed to stat remote object|failed to copy)"),
    ("lost", r"error: closed|protocol fault|connection (?:reset|closed)|Broken pipe|"
             r"shell output invalid|device disconnected|Expected \d+ bytes, got \d+"),
)
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_FROM_ADB = re.compile(r"(?:adb(?:\.exe)?: )?(?:error: |failed to |"
                       r"unable to connect|cannot connect|adb(?:\.exe)?: |"
                       r"\* )|.*(?:device '[^']*' not found|device unauthorized|device offline)")

_ERROR = re.compile(r"(?:adb(?:\.exe)?: )?error: |adb(?:\.exe)?: ")

_WORDS = {
    "none": ("no device is connected",
             "plug the phone in with USB debugging switched on (Developer options), or name it "
             "with --serial"),
    "several": ("several devices are connected", "choose one with --serial"),
    "unauthorized": ("the device has not authorised this computer",
                     "unlock the phone and accept the dialog 'Allow USB debugging'"),
    "offline": ("the device is offline",
                "unplug it and plug it in again, or run `adb reconnect`"),
    "usb": ("this computer may not open the USB device",
            "add adb's udev rules for your user and plug the phone in again"),
    "refused": ("the device refuses the connection",
                "check address and port; on the phone switch wireless debugging on"),
    "server": ("the adb server does not answer",
               "run `adb kill-server` and try again; ANDROID_ADB_SERVER_PORT names its port"),
    "full": ("the device's disk is full",
             "free space under /data, or remove old runs with --clean"),
    "permission": ("the device's folder cannot be written",
                   "name another with --device-dir"),
    "missing": ("a file is missing", "check its name"),
    "adb": ("adb reports an error", "see its own words"),
    "lost": ("the link to the device was lost",
             "check the cable and run again; finished repetitions are kept in the report"),
    "frozen": ("the device does not answer", "wake the phone, check the cable, and run again"),
}


def kind_of(message: str) -> str:
    """Return the kind of trouble that a line of adb tells of; empty if it is not adb's.

    Args:
      message: one line, as adb or the shell printed it.
    """
    if not _FROM_ADB.match(message) or message.startswith('error: "'):  # that is the linker's
        return ""
    return classify(message) or ("adb" if _ERROR.match(message) else "")


def classify(message: str) -> str:
    """Return the kind of trouble in a message that is known to come from adb; empty if unknown."""
    for kind, pattern in _COMPILED:
        if pattern.search(message):
            return kind
    return ""


def in_words(kind: str, message: str) -> str:
    """Return what is wrong, adb's own words, and the remedy, in one line."""
    what, remedy = _WORDS[kind]
    return f"{what} ({message.strip()}); {remedy}"
