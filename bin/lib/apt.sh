# shellcheck shell=bash disable=SC2154 # `me` is the caller's
# Sourced by bin/install-nix and bin/test: packages of the distribution, installed after saying so. Needs `say` from python-env.sh.

# Sets `as_root` to what makes a command run as root: nothing, or sudo. Fails where there is neither. A password may be asked for only where
# somebody is there to type it.
find_root() {
  as_root=()
  [ "$UID" = 0 ] && return
  command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; } && as_root=(sudo)
}

on_debian() {
  case $(. /etc/os-release 2>/dev/null && printf '%s' " ${ID:-} ${ID_LIKE:-} ") in
    *' debian '* | *' ubuntu '*) command -v apt-get >/dev/null ;;
    *) return 1 ;;
  esac
}

# Installs the packages named. On failure, apt's last words are on stderr and the status is 1.
apt_install() {
  local log status=0
  local -a install=(apt-get install -y -q --no-install-recommends "$@")
  say "installing packages of this system: ${as_root[*]+${as_root[*]} }apt-get update; ${as_root[*]+${as_root[*]} }${install[*]}"
  log=$(mktemp) || return 1
  # One broken third-party source must not stop this: whether the packages can be had is for the installation to say.
  _apt update -q || say "apt-get update had errors; going on with the package lists there are"
  _apt "${install[@]:1}" || status=1
  [ "$status" = 0 ] || tail -n 20 "$log" >&2
  rm -f "$log"
  return "$status"
}

_apt() { ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get "$@" </dev/null >>"$log" 2>&1; }
