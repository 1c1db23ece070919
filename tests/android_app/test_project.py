"""The files of the Android project that are read here without Gradle and without the Android SDK.

Gradle and the Android SDK are not to be had from Debian, npm or PyPI in a version that could build
the app, so this holds together what would otherwise fail only in somebody's Android Studio.
"""
from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oace_tf.runtime.model import MASKS, SCORES
from oace_tf.runtime.tflite_reader import PREVIOUS, SIGNATURE, read_facts
from oace_tf.segmenter import DEFAULT_MODEL
from tests.android_app.compiled import APP, FRAMEWORK, LIBRARY, MODULE, PROJECT, PURE, ROOT

ANDROID = "{http://schemas.android.com/apk/res/android}"
TOOLS = "{http://schemas.android.com/tools}"
XML = sorted(APP.rglob("*.xml"))
KOTLIN = sorted([*APP.rglob("*.kt"), *MODULE.rglob("*.kt")])
# Debian: Android 10
FRAMEWORK_RESOURCES = Path("/usr/share/android-framework-res/framework-res.apk")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def catalog() -> dict:
    return tomllib.loads(text(PROJECT / "gradle" / "libs.versions.toml"))


@pytest.fixture(scope="module")
def manifest() -> ElementTree.Element:
    return ElementTree.fromstring(text(APP / "main" / "AndroidManifest.xml"))


@pytest.fixture(scope="module")
def strings() -> dict[str, str]:
    root = ElementTree.fromstring(text(APP / "main/res/values/strings.xml"))
    found = [(entry.attrib["name"], entry.text or "") for entry in root.iter("string")]
    assert len(dict(found)) == len(found), "a string twice"
    return dict(found)


# --- manifest and resources


def test_xml_is_well_formed():
    assert len(XML) >= 5
    for path in XML:
        ElementTree.fromstring(text(path))


def test_the_app_asks_for_no_permission(manifest):
    asked = [entry.attrib[ANDROID + "name"] for entry in manifest.iter("uses-permission")
             if entry.get(TOOLS + "node") != "remove"]
    assert asked == []
    exported = [entry.attrib[ANDROID + "name"] for entry in manifest.iter()
                if entry.get(ANDROID + "exported") == "true"]
    assert exported == [".MainActivity"]
    assert (APP / "main/kotlin/oace/android/MainActivity.kt").is_file()


def test_every_resource_that_is_named_exists_and_every_string_is_used(strings):
    defined = {f"string/{name}" for name in strings} | {"style/App"}
    for path in XML:
        if path.parent.name in ("layout", "drawable"):
            defined.add(f"{path.parent.name}/{path.stem}")
        defined |= {f"id/{name}" for name in re.findall(r'"@\+id/(\w+)"', text(path))}
    named = {f"{kind}/{name}" for path in XML
             for kind, name in re.findall(r'"@(string|drawable|style|layout)/(\w+)"', text(path))}
    named |= {f"{kind}/{name}" for path in KOTLIN
              for kind, name in re.findall(r"\bR\.(\w+)\.(\w+)", text(path))}
    assert named <= defined
    assert {name for name in defined if name.startswith(("string/", "id/"))} <= named


def test_strings_get_the_arguments_that_they_have_places_for(strings):
    given = {}
    for path in KOTLIN:
        for name, rest in re.findall(r"getString\(R\.string\.(\w+)((?:, [\w.]+)*)\)", text(path)):
            if rest:
                given[name] = rest.count(",")
    placed = {name: len(set(re.findall(r"%(\d)\$", value))) for name, value in strings.items()}
    assert {name: count for name, count in placed.items() if count} == given


def test_debians_aapt_packages_manifest_and_resources(tmp_path):
    aapt = shutil.which("aapt")
    if aapt is None or not FRAMEWORK_RESOURCES.is_file():
        pytest.skip("no aapt here (Debian: aapt, android-framework-res)")
    # the package's name stands in build.gradle.kts; aapt wants it in the manifest
    copy = tmp_path / "AndroidManifest.xml"
    copy.write_text(text(APP / "main/AndroidManifest.xml").replace(
        "<manifest ", '<manifest package="oace.android" ', 1), encoding="utf-8")
    done = subprocess.run(
        [aapt, "package", "-f", "-M", str(copy), "-S", str(APP / "main/res"), "-I",
         str(FRAMEWORK_RESOURCES),
         "--min-sdk-version", "29", "--target-sdk-version", "29", "-F", str(tmp_path / "app.apk")],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    badging = subprocess.run([aapt, "dump", "badging", str(tmp_path / "app.apk")],
                             capture_output=True, text=True, check=True).stdout
    assert "launchable-activity: name='oace.android.MainActivity'" in badging


# --- Gradle


def test_versions_are_exact_and_fit_the_rest_of_the_repository(catalog):
    versions = catalog["versions"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", text(ROOT / "constraints.txt"), re.MULTILINE))
    assert versions["litert"] == pins["ai-edge-litert"]
    refs = [entry["version"]["ref"] for kind in ("plugins", "libraries")
            for entry in catalog[kind].values()]
    assert set(refs) == set(versions)


def test_build_files_name_what_the_catalog_has(catalog):
    scripts = [PROJECT / folder / "build.gradle.kts" for folder in (".", "app", "segmenter")]
    used = {name for path in scripts for name in re.findall(r"\blibs\.([\w.]+)", text(path))}
    known = {f"plugins.{name.replace('-', '.')}" for name in catalog["plugins"]}
    known |= {name.replace("-", ".") for name in catalog["libraries"]}
    assert used == known
    assert 'include(":app", ":segmenter")' in text(PROJECT / "settings.gradle.kts")


def test_the_wrapper_pins_gradle_by_its_hash():
    assert re.findall('gradle-version: "(.*)"',
                      text(ROOT / ".github/workflows/android.yml")) == [wrapper_version()]
    assert re.fullmatch(r"[0-9a-f]{64}", wrapper_properties()["distributionSha256Sum"])


def wrapper_properties() -> dict[str, str]:
    return dict(line.split("=", 1) for line in text(
        PROJECT / "gradle/wrapper/gradle-wrapper.properties").splitlines())


def wrapper_version() -> str:
    (version,) = re.findall(r"/gradle-(\d+\.\d+\.\d+)-bin\.zip$",
                            wrapper_properties()["distributionUrl"])
    return version


# --- the model


def test_the_model_is_copied_from_the_package_and_nowhere_else():
    script = text(PROJECT / "app" / "build.gradle.kts")
    models = dict(re.findall(r'"(\w+)" to "([\w/.]+\.tflite)"', script))
    assert ROOT / models["litert"] == DEFAULT_MODEL and DEFAULT_MODEL.is_file()
    assert list(PROJECT.rglob("src/**/*.tflite")) == []
    sources = {"litert": LIBRARY / "LiteRtModel.kt",
               "mediapipe": APP / "mediapipe/kotlin/oace/android/MediaPipeSegmenter.kt"}
    for variant, path in models.items():
        assert f'const val ASSET = "{Path(path).name}"' in text(sources[variant])


def test_the_code_names_the_tensors_of_every_kind_of_file():
    source = text(LIBRARY / "LiteRtModel.kt")
    assert f'SIGNATURE = "{SIGNATURE}"' in text(LIBRARY / "ModelFile.kt")
    for path in (DEFAULT_MODEL, ROOT / "tests/golden/tiny_multi_int8.tflite"):
        facts = read_facts(path.read_bytes(), path.name)
        named = set(re.findall(r'createInputBuffer\("(\w+)"', source))
        assert named == set(facts.inputs) | {PREVIOUS}  # which a file of taps has not
        named = set(re.findall(r'createOutputBuffer\("(\w+)"', source))
        assert named == set(facts.outputs) | {MASKS, SCORES}  # which a file of one answer has not


def test_the_tensor_code_needs_no_android():
    assert set(PURE) == set(LIBRARY.glob("*.kt")) - {
        LIBRARY / f"{name}.kt" for name in ("LiteRtModel", "Photographs", "Processor")}
    for path in (*PURE, APP / "main/kotlin/oace/android/Drawing.kt"):
        imports = re.findall(r"^import (\S+)", text(path), re.MULTILINE)
        assert all(name.startswith(("kotlin.", "java.nio.")) for name in imports), path


# --- what the README says


def test_the_readme_names_every_file_of_the_library():
    readme = text(PROJECT / "README.md")
    named = set(re.findall(r"`(\w+\.kt)`", readme))
    assert {path.name for path in LIBRARY.glob("*.kt")} <= named
    assert named <= {path.name for path in KOTLIN}


def test_the_readme_names_what_another_app_needs(catalog):
    readme = text(PROJECT / "README.md")
    versions = catalog["versions"]
    for name in ("litert", "litert-gpu"):
        assert f"{catalog['libraries'][name]['module']}:{versions['litert']}" in readme
    script = text(PROJECT / "app/build.gradle.kts")
    for words in ('noCompress += "tflite"', 'abiFilters += listOf("arm64-v8a", "x86_64")'):
        assert words in script and words in readme
    library = text(PROJECT / "segmenter/build.gradle.kts")
    for number in (*re.findall(r"minSdk = (\d+)", script), *re.findall(r"minSdk = (\d+)", library)):
        assert f"minSdk {number}" in readme
    for entry in re.findall(r'android:name="(android.permission.\w+)"',
                            text(APP / "main/AndroidManifest.xml")):
        assert entry in readme
    assert f"Gradle {wrapper_version()}" in readme and f"plugin {versions['agp']}" in readme


def test_the_framework_says_what_it_is():
    assert (FRAMEWORK / "README.md").is_file()
