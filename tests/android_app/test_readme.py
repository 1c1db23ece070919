"""The app's README: what it says of Gradle, of files, of the manifest and of names is so.

Its snippets for Kotlin are compiled against the library and the names of `framework/`. No Gradle
can be had here, so its snippets are compared with the app's own files.
"""
from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.android_app import compiled
from tests.android_app.compiled import APP, FRAMEWORK, LIBRARY, MODULE, PROJECT, ROOT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
ANDROID = "{http://schemas.android.com/apk/res/android}"
TOOLS = "{http://schemas.android.com/tools}"
# what the snippets take as given: an activity's code, and the reader's own variables
GIVEN = """@file:Suppress("UNUSED_VARIABLE")
package reader
IMPORTS
fun android.app.Activity.pasted(context: android.content.Context, uri: android.net.Uri,
                                places: List<Place>, show: (ObjectMask, Float) -> Unit) {
CODE
}
"""
_DECLARED = re.compile(r"(?:class|object|fun|val|interface|enum)\s+(?:\w+\.)?(\w+)")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(language: str, readme: str = README) -> list[str]:
    """Return the blocks of code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


def table(title: str, readme: str = README) -> list[list[str]]:
    """Return the rows of the first table below a line that starts with `title`, without its head.

    Raises:
      AssertionError: there is no such line, or no table below it.
    """
    match = re.search(rf"^{re.escape(title)}(?:.*\n)+?\n(?:\|.*\n){{2}}((?:\|.*\n)+)", readme,
                      re.MULTILINE)
    assert match, f"android_app/README.md has no table below {title!r}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")]
            for line in match[1].splitlines()]


def quoted(words: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", words)


def kotlin(readme: str = README) -> list[str]:
    """Return the snippets of Kotlin that are code of an app: those that name the segmenter."""
    return [block for block in blocks("kotlin", readme) if "segmenter." in block]


def pasted(snippets: list[str]) -> str:
    """Return one Kotlin file: the snippets one after the other in an activity's function."""
    lines = "".join(snippets).splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    code = [line for line in lines if not line.startswith("import ")]
    return GIVEN.replace("IMPORTS", "\n".join(imports)).replace("CODE", "\n".join(code))


# --- the snippets of Kotlin


@pytest.mark.slow
def test_snippets_compile_when_they_are_pasted() -> None:
    """With the reader's package and the imports that stand in the snippets, and no others."""
    compiled.compile_library({"Pasted.kt": pasted(kotlin())})


@pytest.mark.slow
def test_a_snippet_with_wrong_names_is_refused() -> None:
    code = pasted(kotlin())
    for right, wrong in (("onObject = false", "inside = false"), ("previous = box", "before = box"),
                         ("segmenter.maxRows", "segmenter.maxTaps"), (".readPh", ".readPi")):
        assert right in code
        code = code.replace(right, wrong, 1)
    with pytest.raises(AssertionError, match="Pasted.kt") as refusal:
        compiled.compile_library({"Pasted.kt": code})
    for name in ("inside", "before", "maxTaps", "readPiotograph"):
        assert name in str(refusal.value)


def unknown_names(snippets: list[str]) -> set[str]:
    """Return what the snippets call, by name or by argument, and the sources do not declare.

    A check for machines without a Kotlin compiler: names alone, not types.
    """
    sources = "\n".join(text(path) for path in (*LIBRARY.glob("*.kt"), *FRAMEWORK.rglob("*.java")))
    declared = set(_DECLARED.findall(sources)) | set(re.findall(r"(\w+)\s*:\s*[A-Z]", sources))
    declared |= set(re.findall(r"\b(\w+)\(", "".join(  # methods and constants of Android
        text(path) for path in FRAMEWORK.rglob("*.java"))))
    declared |= {"CPU", "ARGB_8888", "listOf", "if", "for", "contentResolver", "show"}
    code = re.sub(r"//.*", "", "".join(snippets))
    code = re.sub(r"^import .*$", "", code, flags=re.MULTILINE)
    used = set(re.findall(r"\b(\w+)\(", code)) | set(re.findall(r"\.([A-Za-z]\w*)", code))
    used |= set(re.findall(r"[(,]\s*(\w+) = ", code))
    return used - declared


def test_snippets_name_what_is_declared() -> None:
    snippets = kotlin()
    assert len(snippets) == 2 and unknown_names(snippets) == set()
    wrong = [code.replace("maxRows", "maxTaps").replace("onObject =", "inside =")
             for code in snippets]
    assert unknown_names(wrong) == {"maxTaps", "inside"}


# --- building


def tasks(variants: set[str]) -> set[str]:
    """Return Gradle's tasks that the README may name."""
    names = {variant.capitalize() for variant in variants}
    return {"wrapper", *(f"{verb}{name}Debug" for verb in ("assemble", "install")
                         for name in names)}


def test_gradle_is_given_tasks_that_it_has() -> None:
    variants = set(re.findall(r'create\("(\w+)"\)', text(PROJECT / "app/build.gradle.kts")))
    assert variants == {"litert", "mediapipe"}
    named = re.findall(r"gradle(?:w| -p android_app) (\w+)", README)
    assert len(named) >= 4 and set(named) <= tasks(variants)
    built = re.search(r"gradle -p android_app (\w+)",
                      text(ROOT / ".github/workflows/android.yml"))
    assert built and built[1] in named  # what the workflow builds is what the reader is told


def test_the_apk_lies_where_the_readme_says() -> None:
    (kept,) = re.findall(r"path: (android_app/\S+)/\*\.apk",
                         text(ROOT / ".github/workflows/android.yml"))
    assert f"`{kept}/app-litert-debug.apk`" in README


def test_paths_that_the_readme_names_exist() -> None:
    named = {words.rstrip("/") for words in quoted(re.sub(r"```.*?```", "", README, flags=re.S))
             if re.fullmatch(r"[\w./-]+", words) and "/" in words and "build/outputs" not in words}
    made = {"src/main/assets", "oace/android"}  # folders of the reader's own app
    missing = {name for name in named - made
               if not any((folder / name).exists() for folder in (ROOT, PROJECT))}
    assert len(named) >= 6 and not missing


# --- taking it into another app


def test_the_snippets_of_gradle_are_lines_of_the_app() -> None:
    scripts = "\n".join(text(path) for path in PROJECT.rglob("*.gradle.kts"))
    for block in blocks("kotlin"):
        if block in kotlin():
            continue
        for line in re.sub(r"dependencies \{ (.*) \}", r"\1", block).splitlines():
            own = line.replace("implementation(", '"litertImplementation"(')
            assert line in scripts or own in scripts, line
    catalog = text(PROJECT / "gradle/libs.versions.toml").splitlines()
    (lines,) = blocks("toml")
    assert [line for line in lines.splitlines() if line and line not in catalog] == []
    module = text(PROJECT / "segmenter/build.gradle.kts")
    for name in re.findall(r"libs\.(?:plugins\.)?([\w.]+)", module):
        assert re.search(rf"^{name.replace('.', '-')} = ", lines, re.MULTILINE), name
    for name in re.findall(r'version.ref = "(\w+)"', lines):
        assert re.search(rf'^{name} = "', lines, re.MULTILINE), name


def test_every_file_to_copy_exists_and_needs_what_the_list_says() -> None:
    (folder,) = re.findall(r"\*\*As files\.\*\* Copy these from `segmenter/(\S+)`", README)
    rows = table("**As files.**")
    assert MODULE.parent / folder == LIBRARY
    names = [quoted(row[0])[0] for row in rows]
    assert sorted(names) == sorted(path.name for path in LIBRARY.glob("*.kt"))
    for name, row in zip(names, rows, strict=True):
        imports = re.findall(r"^import (\S+)", text(LIBRARY / name), re.MULTILINE)
        needs = {library for library, prefix in
                 (("Android", "android."), ("LiteRT", "com.google.ai.edge.litert."))
                 if any(entry.startswith(prefix) for entry in imports)}
        assert row[2] == (", ".join(sorted(needs)) or "Kotlin alone"), name


def test_what_another_app_needs_equals_the_app() -> None:
    rows = {quoted(row[0])[0] if quoted(row[0]) else row[0]: row
            for row in table("**In both cases, in the app:**")}
    catalog = text(PROJECT / "gradle/libs.versions.toml")
    version = re.findall(r'^litert = "(.*)"', catalog, re.MULTILINE)[0]
    own = {f"{module}:{version}" for name, module in
           re.findall(r'^(litert\S*) = \{ module = "(\S+)"', catalog, re.MULTILINE)}
    named = set(re.findall(r"`([\w.]+:[\w-]+:[\w.]+)`", README))
    assert named == own and len(own) == 2
    script = text(PROJECT / "app/build.gradle.kts")
    for words in ('noCompress += "tflite"', 'abiFilters += listOf("arm64-v8a", "x86_64")'):
        assert words in rows and words in script
        (place,) = quoted(rows[words][1])
        for part in re.findall(r"\w+", place):  # android { defaultConfig { ndk { } } }
            assert f"{part} {{" in script

    manifest = ElementTree.fromstring(text(APP / "main/AndroidManifest.xml"))
    removed = {entry.attrib[ANDROID + "name"] for entry in manifest.iter("uses-permission")
               if entry.get(TOOLS + "node") == "remove"}
    assert set(re.findall(r"`(android\.permission\.\w+)`", README)) == removed
    assert [f'{key.replace(ANDROID, "android:")}="{value}"' for entry in
            manifest.iter("application") for key, value in entry.attrib.items()
            if key == ANDROID + "largeHeap"] == [name for name in rows if "largeHeap" in name]
    model = quoted(rows["oace_int8.tflite"][2] + rows["oace_int8.tflite"][1])
    assert "src/main/assets" in model and "LiteRtModel.ASSET" in model
    least = re.findall(r"minSdk = (\d+)", text(PROJECT / "segmenter/build.gradle.kts"))
    assert [name for name in rows if name.startswith("minSdk")] == [f"minSdk {least[0]}"]
