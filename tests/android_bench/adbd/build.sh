#!/usr/bin/env bash
# Build adbd for this machine, into the user's cache; prints the folder with adbd and adbd-auth.
#
#     tests/android_bench/adbd/build.sh           build what is not in the cache
#     tests/android_bench/adbd/build.sh --cached  only look; exit 1 if it is not there
#
# Debian packages no adbd, but the source package of adb holds it. Sources and libraries are fetched
# with apt and unpacked into the build folder: nothing is installed, no root is needed, and apt's own
# lists stay as they are. Needs Debian 12, g++, make, patch. The cache is keyed by a hash of this
# folder's files.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=29.0.6-28
key=$(cat "$here/build.sh" "$here/adbd.mk" | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/oace-ci/adbd-$key
if ! mkdir -p "$(dirname "$cache")" 2>/dev/null || [[ ! -w $(dirname "$cache") ]]; then
  cache=$(cd "$here/../../.." && pwd)/build/ci/cache/adbd-$key
  mkdir -p "$(dirname "$cache")"
fi
if [[ -x $cache/adbd && -x $cache/adbd-auth ]]; then
  printf '%s\n' "$cache"
  exit 0
elif [[ ${1:-} == --cached ]]; then
  exit 1
fi
for tool in apt-get dpkg-deb g++ make patch xz; do
  command -v "$tool" >/dev/null || { echo "build.sh: no $tool on this machine" >&2; exit 1; }
done
if ! grep -qs 'VERSION_CODENAME=bookworm' /etc/os-release; then
  echo "build.sh: this machine is not Debian 12, whose sources are patched here" >&2
  exit 1
fi

work=$(mktemp -d "$(dirname "$cache")/adbd-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p lists/partial archives/partial prefix debs
# the archive that this machine uses; its sources need not be switched on there
archive=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
  awk '$2 == "bookworm" && $3 == "main" && !found++ {print $1}')
if [[ -z $archive ]]; then
  echo "build.sh: apt names no archive of bookworm main" >&2
  exit 1
fi
for kind in deb deb-src; do
  echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive bookworm main"
done >sources.list
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$work/lists" -o Dir::Cache::archives="$work/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root \
    -o Acquire::Languages=none -o Acquire::Retries=2 "$@" >&2
}
apt update
(cd debs && apt download android-libbase{,-dev} android-libcutils{,-dev} android-liblog{,-dev} \
  android-libboringssl{,-dev} libcap-dev libcap2 android-platform-system-core-headers)
for deb in debs/*.deb; do
  dpkg-deb -x "$deb" prefix
done
apt source --download-only "android-platform-tools=$version"
tar xzf android-platform-tools_29.0.6.orig.tar.gz
cd android-platform-tools-29.0.6
tar xJf "../android-platform-tools_$version.debian.tar.xz"
while read -r name; do
  patch -p1 -s -f <"debian/patches/$name"
done <debian/patches/series
# listen on 127.0.0.1 only; as shipped it listens on every address, and on vsock
sed -i 's|network_inaddr_any_server(port, SOCK_STREAM, error)|network_loopback_server(port, SOCK_STREAM, error, true)|' \
  system/core/adb/socket_spec.cpp
sed -i 's|^        local_init(addr);|        if (addr.compare(0, 4, "tcp:") == 0) local_init(addr);|' \
  system/core/adb/daemon/main.cpp
grep -q network_loopback_server system/core/adb/socket_spec.cpp
grep -q 'addr.compare(0, 4, "tcp:")' system/core/adb/daemon/main.cpp
# g++ refuses clang's thread annotations
mkdir -p ../prefix/overlay/android-base
sed 's/^#define THREAD_ANNOTATION_ATTRIBUTE__(x).*/#define THREAD_ANNOTATION_ATTRIBUTE__(x)/' \
  ../prefix/usr/include/android/android-base/thread_annotations.h \
  >../prefix/overlay/android-base/thread_annotations.h
mkdir -p ../out/lib
jobs=${OACE_JOBS:-$(nproc)}
make -s -j"$jobs" -f "$here/adbd.mk" PREFIX="$work/prefix" OBJ="$work/obj" OUT="$work/out/adbd" >&2
# only the sources that look at NOAUTH are compiled again
rm -f "$work"/obj/system/core/adb/daemon/main.o "$work"/obj/system/core/adb/daemon/auth.o
make -s -j"$jobs" -f "$here/adbd.mk" PREFIX="$work/prefix" OBJ="$work/obj" NOAUTH= \
  OUT="$work/out/adbd-auth" >&2
cp -P "$work"/prefix/usr/lib/*/android/*.so* "$work/out/lib/"
mv -T "$work/out" "$cache" || [[ -x $cache/adbd-auth ]]  # or somebody else was faster
printf '%s\n' "$cache"
