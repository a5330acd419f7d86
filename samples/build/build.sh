#!/usr/bin/env bash
# Rebuilds the sample packages: exports the models, packs and signs the apps, runs every model.
#   samples/build/build.sh
# The Python environment (about 2.5 GB) is kept in GAUGENN_SAMPLES_CACHE, by default
# ~/.cache/gaugenn-samples; delete that folder when done.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${GAUGENN_SAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gaugenn-samples}"
debian=(aapt zipalign apksigner libsmali-java default-jdk-headless android-framework-res
    gcc-aarch64-linux-gnu openssl)

for tool in aapt aapt2 zipalign apksigner smali keytool aarch64-linux-gnu-gcc openssl; do
    if ! command -v "$tool" > /dev/null; then
        echo "The samples need $tool; install all tools with: apt-get install --no-install-recommends ${debian[*]}" >&2
        exit 1
    fi
done

mkdir -p "$cache"
python="$cache/venv/bin/python"
if ! cmp -s "$here/requirements.txt" "$cache/venv/made-from.txt"; then
    echo "Making the environment in $cache/venv ..." >&2
    rm -rf "$cache/venv"
    "${PYTHON:-python3.11}" -m venv "$cache/venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/venv/made-from.txt"
fi

echo "Exporting the models ..." >&2
rm -rf "$cache/models"
if ! "$python" "$here/models.py" "$cache/models" > "$cache/models.log" 2>&1; then
    tail -n 20 "$cache/models.log" >&2
    exit 1
fi
"$python" "$here/packages.py" "$cache/models" "$here/.."
"$python" -W ignore "$here/verify.py" "$cache/models" "$here/.." 2> "$cache/verify.log" || {
    tail -n 20 "$cache/verify.log" >&2
    exit 1
}
