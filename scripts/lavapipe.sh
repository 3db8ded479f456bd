#!/usr/bin/env bash
# Installs Mesa's software Vulkan driver (lavapipe, 25 or newer) on Debian 12 from its backports, as root, and prints the
# environment that selects it: eval "$(scripts/lavapipe.sh)". The mirror is the one that the machine's own apt sources name.
set -euo pipefail
icd=/usr/share/vulkan/icd.d/lvp_icd.json
version=$(dpkg-query -W -f='${Version}' mesa-vulkan-drivers 2>/dev/null || true)
if ! dpkg --compare-versions "${version:-0}" ge 24; then
  mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | grep -m1 '/debian/*$' || true)
  [ -n "$mirror" ] || mirror=$(awk '$1 == "deb" && $2 ~ /\/debian\/?$/ { print $2; exit }' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null)
  [ -n "$mirror" ] || { echo 'lavapipe.sh: no Debian mirror in the apt sources' >&2; exit 1; }
  suite=$(. /etc/os-release; echo "$VERSION_CODENAME-backports")
  list=/etc/apt/sources.list.d/ebb-backports.list
  grep -rqs "$suite" /etc/apt/sources.list.d || echo "deb $mirror $suite main" > "$list"
  { apt-get -qq update && apt-get -qq install -y -t "$suite" mesa-vulkan-drivers libvulkan1; } >&2
fi
run=${XDG_RUNTIME_DIR:-$HOME/.cache/ebb-xdg}
mkdir -p "$run" && chmod 700 "$run"
echo "export VK_ICD_FILENAMES=$icd XDG_RUNTIME_DIR=$run"
