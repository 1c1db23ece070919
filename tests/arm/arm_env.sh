#!/usr/bin/env bash
# An aarch64 Python with numpy and LiteRT under qemu-user, in a cache folder; needs no root and installs nothing.
#
#     tests/arm/arm_env.sh            make it where it is missing (70 MB fetched) and print its folder
#     tests/arm/arm_env.sh --find     print the folder if it is there, else say so and exit 3
#
# Debian 12: emulator and aarch64 packages by apt-get with lists of its own, unpacked with dpkg -x; aarch64 wheels by
# pip. The folder holds qemu, root/ (for qemu -L) and site/ (for PYTHONPATH). Exit 3: this machine cannot have it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(libc6 libgcc-s1 libstdc++6 zlib1g libbz2-1.0 liblzma5 libexpat1 libffi8 libssl3
  libpython3.11-minimal libpython3.11-stdlib python3.11-minimal)
wheels=$(grep -E '^(numpy|ai-edge-litert)==' constraints.txt)

key=$( (cat tests/arm/arm_env.sh; echo "$wheels") | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/oace-arm
folder=$cache/$key

unable() {
  echo "arm_env.sh: $1" >&2
  exit 3
}

if [[ -f $folder/ready ]]; then
  printf '%s\n' "$folder"
  exit 0
elif [[ ${1:-} == --find ]]; then
  unable "no emulated aarch64 Python in $cache; make it with tests/arm/arm_env.sh"
fi
[[ $(uname -s) == Linux ]] || unable "needs Linux"
for tool in apt-get dpkg python3; do
  command -v "$tool" >/dev/null || unable "needs $tool"
done
grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release || unable "needs the packages of Debian 12"
host=$(dpkg --print-architecture)

mkdir -p "$cache" || unable "$cache cannot be written"
making=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$making"' EXIT
mkdir -p "$making"/{apt/lists/partial,apt/cache/archives/partial,debs,wheels,root,site,host}
: >"$making/apt/status"
cat >"$making/apt.conf" <<CONF
APT::Architecture "$host";
APT::Architectures { "$host"; "arm64"; };
APT::Sandbox::User "";
Dir::State "$making/apt";
Dir::State::status "$making/apt/status";
Dir::Cache "$making/apt/cache";
CONF
export APT_CONFIG=$making/apt.conf
apt-get -qq update >&2 || unable "apt-get update failed"
(cd "$making/debs" && apt-get -qq download "${packages[@]/%/:arm64}" >&2) || unable "the aarch64 packages cannot be had"
for package in "$making"/debs/*_arm64.deb; do
  dpkg -x "$package" "$making/root"
done
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
if [[ -n $qemu ]]; then
  ln -s "$qemu" "$making/qemu"
else  # qemu-user linked statically: the other package wants a dozen libraries of the host
  (cd "$making/debs" && apt-get -qq download "qemu-user-static:$host" >&2) || unable "qemu-user cannot be had"
  dpkg --fsys-tarfile "$making"/debs/qemu-user-static_*.deb | tar -x -C "$making/host" ./usr/bin/qemu-aarch64-static
  mv "$making/host/usr/bin/qemu-aarch64-static" "$making/qemu"
fi
# shellcheck disable=SC2086  # two requirements
python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
  --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 \
  -d "$making/wheels" $wheels >&2 || unable "the aarch64 wheels cannot be had"
python3 - "$making" <<'PYTHON'
import pathlib, sys, zipfile

making = pathlib.Path(sys.argv[1])
for wheel in (making / "wheels").glob("*.whl"):
    zipfile.ZipFile(wheel).extractall(making / "site")
PYTHON
rm -rf "$making"/{apt,apt.conf,debs,wheels,host}
touch "$making/ready"
mv -T "$making" "$folder" 2>/dev/null || [[ -f $folder/ready ]] || unable "$folder cannot be written"
printf '%s\n' "$folder"
