#!/usr/bin/env bash
# Put the Kotlin compiler into the user's cache; prints the folder that holds its jars.
#
#     tests/android_app/kotlin/install.sh           fetch what is not in the cache
#     tests/android_app/kotlin/install.sh --cached  only look; exit 1 if it is not there
#
# The compiler is the npm package kotlin-compiler (90 MB) of the version in android_app/gradle/libs.versions.toml;
# its SHA-512 is checked. Needs npm; the tests that run it need Java 17 or newer.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
version=$(sed -n 's/^kotlin = "\(.*\)"$/\1/p' "$root/android_app/gradle/libs.versions.toml")
# of kotlin-compiler-2.4.20.tgz; change it together with the version
sha512=205e4854cecba4f840fe7b47410a5a56dd72c6969a428bed11560bcaa58cb9a2ebd177a52cf3e6effb0ce872e1b5c4638e3a12b0aec8ee53f693360990ccbbdf
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/oace-ci/kotlin-$version-${sha512:0:16}
if ! mkdir -p "$(dirname "$cache")" 2>/dev/null || [[ ! -w $(dirname "$cache") ]]; then
  cache=$root/build/ci/cache/kotlin-$version-${sha512:0:16}
  mkdir -p "$(dirname "$cache")"
fi
if [[ -f $cache/lib/kotlin-compiler.jar ]]; then
  printf '%s\n' "$cache/lib"
  exit 0
elif [[ ${1:-} == --cached ]]; then
  exit 1
fi
command -v npm >/dev/null || { echo "install.sh: no npm on this machine" >&2; exit 1; }

work=$(mktemp -d "$(dirname "$cache")/kotlin-new.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "kotlin-compiler@$version" >&2
if ! echo "$sha512  kotlin-compiler-$version.tgz" | sha512sum -c --quiet >&2; then
  echo "install.sh: kotlin-compiler-$version.tgz is not the file that was looked at; nothing installed" >&2
  exit 1
fi
tar xzf "kotlin-compiler-$version.tgz" --wildcards 'package/lib/*.jar' 'package/license/*'
mv -T package "$cache" || [[ -f $cache/lib/kotlin-compiler.jar ]]  # or somebody else was faster
printf '%s\n' "$cache/lib"
