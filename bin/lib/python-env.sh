# shellcheck shell=bash disable=SC2154 # `me` is the caller's
# Sourced by bin/nix-repro and bin/test: an isolated Python environment that holds exactly what a lock file names.
# Must run on bash 3.2 (macOS). The caller sets `me`, the name that messages begin with.

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$@"; exit 2; }

# Sets `cache`, a directory that is ours and writable. A job on a runner gets its own; a person keeps one from run to run.
find_cache() {
  local try
  if [ -n "${GITHUB_ACTIONS:-}" ] && [ -n "${RUNNER_TEMP:-}" ]; then
    try=$RUNNER_TEMP
  else
    try=${HOME:-~}/.cache # without HOME, bash takes ~ from the user database
    case ${XDG_CACHE_HOME:-} in /*) try=$XDG_CACHE_HOME ;; esac # a relative one is to be ignored, says the XDG specification
  fi
  cache=$try/nix-repro
  [ -w "$cache" ] && return
  mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] && return
  # Home is read-only or absent. Under a shared /tmp a name is only trusted when it is a real directory of this very user.
  cache=${TMPDIR:-/tmp}/nix-repro-$UID
  mkdir -m 700 "$cache" 2>/dev/null || [ -d "$cache" ] || die "no place for its Python environment: neither $try nor ${TMPDIR:-/tmp} is writable"
  { [ -O "$cache" ] && [ ! -L "$cache" ]; } || die "$cache belongs to somebody else; set XDG_CACHE_HOME to a directory of yours"
}

# Sets `python` to the real path of an interpreter that is new enough, and `python_version` to its X.Y.
find_python() {
  local name answer seen='' found IFS=$'\n'
  found=$(
    if [ -n "${NIX_REPRO_PYTHON:-}" ]; then
      printf '%s\n' "$NIX_REPRO_PYTHON"
    else
      printf '%s\n' python3 python3.14 python3.13 python3.12 python3.11 python
      [ -z "${RUNNER_TOOL_CACHE:-}" ] || ls -d "$RUNNER_TOOL_CACHE"/Python/*/*/bin/python3 2>/dev/null
    fi
  )
  for name in $found; do
    command -v "$name" >/dev/null 2>&1 || continue
    # The base interpreter's real, versioned path: an environment made from it stops existing, instead of breaking, when that Python is replaced.
    answer=$("$name" -I -c 'import os, sys
print("%d.%d" % sys.version_info[:2])
print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))' 2>/dev/null) || continue
    python_version=${answer%%$'\n'*}
    python=${answer#*$'\n'}
    case $python_version in
      3.11 | 3.1[2-9] | 3.[2-9][0-9]) return ;;
    esac
    seen="$seen${seen:+, }$name is $python_version"
  done
  die "needs Python 3.11 or newer, and found none${seen:+ ($seen)}. Install one (python3.11 or newer) and put it on PATH, or name it in NIX_REPRO_PYTHON."
}

# Debian's and Ubuntu's bare python3 has neither pip nor ensurepip. Their package with pip's wheel is fetched through apt, which checks
# its signature, and unpacked here: that needs no root and leaves the machine as it is. Sets `pip_wheel`.
fetch_pip_wheel() {
  local into=$1 apt
  { command -v apt-get && command -v dpkg-deb; } >/dev/null 2>&1 ||
    die "this Python ($python) has neither pip nor ensurepip: install pip for it (often the package python3-pip), or uv"
  say "$python has no pip; getting pip's wheel from this system's package archive (installs nothing)…"
  mkdir -p "$into/lists/partial" "$into/cache/archives/partial" "$into/root"
  apt=(apt-get -qq -o "Dir::Cache=$into/cache" -o "APT::Sandbox::User=root")
  if ! (cd "$into" && "${apt[@]}" download python3-pip-whl ca-certificates) >/dev/null 2>&1; then
    apt+=(-o "Dir::State::lists=$into/lists")
    "${apt[@]}" update >/dev/null 2>"$into/log" # a broken source among good ones is no reason to stop
    (cd "$into" && "${apt[@]}" download python3-pip-whl ca-certificates) >/dev/null 2>>"$into/log" ||
      { cat "$into/log" >&2; die "apt-get cannot download python3-pip-whl; install python3-pip or python3-venv, or uv"; }
  fi
  local deb
  for deb in "$into"/*.deb; do dpkg-deb -x "$deb" "$into/root" || die "cannot unpack $deb"; done
  pip_wheel=$(ls "$into"/root/usr/share/python-wheels/pip-*.whl) || die "python3-pip-whl holds no wheel of pip"
  if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && [ -z "${PIP_CERT:-}" ]; then
    cat "$into"/root/usr/share/ca-certificates/mozilla/*.crt >"$into/certificates.pem"
    export PIP_CERT=$into/certificates.pem
  fi
}

# Fills the new environment $1 from lock file $2. pip and uv get hashes from the lock, so whatever index they are configured with can only
# serve what was locked.
fill_env() {
  local new=$1 lock=$2
  # pip compiles everything, one file after the other; Python compiles the third of it that is imported, on first use.
  local -a pip=(install --quiet --no-compile --require-hashes --no-deps --only-binary :all: --disable-pip-version-check --no-input -r "$lock")
  unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_NO_BINARY PIP_REQUIRE_VIRTUALENV
  # uv reads configuration from the current directory, which may be anybody's checkout. A broken uv (a version manager's shim) counts as none.
  cd "$new" || return
  if uv --version >/dev/null 2>&1; then
    uv venv --quiet --no-project --python "$python" --allow-existing "$new" &&
      uv pip install --quiet --python "$new/bin/python" --require-hashes --no-deps --only-binary :all: --compile-bytecode -r "$lock" && return
    say "uv could not do it; trying pip…"
    rm -rf "${new:?}"/*
  fi
  "$python" -I -m venv --without-pip "$new" || return
  if "$python" -I -m pip --version >/dev/null 2>&1; then
    "$python" -I -m pip --python "$new/bin/python" "${pip[@]}"
  elif "$python" -I -m ensurepip --version >/dev/null 2>&1; then
    "$new/bin/python" -I -m ensurepip >/dev/null && "$new/bin/python" -I -m pip "${pip[@]}"
  else
    fetch_pip_wheel "$new/.pip"
    PYTHONPATH=$pip_wheel "$new/bin/python" -P -m pip "${pip[@]}" && rm -rf "$new/.pip"
  fi
}

# Puts the finished environment $1 in its place $2. rename(2) onto a directory that is not empty fails, so of several that were made at once
# the first one stays and the others go. Scripts in bin/ still name the place they were made in; that is put right first.
publish_env() {
  "$1/bin/python" -I -c '
import os, pathlib, sys
new, final = map(os.fsencode, sys.argv[1:])
for script in pathlib.Path(os.fsdecode(new), "bin").iterdir():
    if script.is_file() and not script.is_symlink():
        text = script.read_bytes()
        if new in text and not text.startswith(b"\x7fELF"):
            script.write_bytes(text.replace(new, final))
os.chmod(new, 0o755)  # mktemp closes it to others; a command that sudo runs as somebody else must be able to use it
try:
    os.rename(new, final)
except OSError:
    if not os.access(final + b"/bin/python", os.X_OK):
        raise
' "$1" "$2"
}

# Sets `env_dir` to a complete environment for lock file $1, which is made first when there is none. $2 says what it is for.
python_env() {
  local lock=$1 sum complete
  find_cache
  sum=$(sha256sum <"$lock" 2>/dev/null || shasum -a 256 <"$lock") || die "cannot read $lock"
  # Any interpreter will do when one was not asked for by name: so nothing has to be started to find out what is on PATH.
  local prefix=$cache/env-${sum:0:20}-$MACHTYPE-py
  if [ -z "${NIX_REPRO_PYTHON:-}" ]; then
    for complete in "$prefix"*; do
      [ -x "$complete/bin/python" ] && env_dir=$complete && return
    done
  fi
  find_python
  env_dir=$prefix$python_version
  [ -x "$env_dir/bin/python" ] && return
  say "making its Python environment ($2), once: some seconds…"
  if [ -d "$env_dir" ]; then rm -rf "$env_dir"; fi # its interpreter is gone
  making=$(mktemp -d "$cache/.making.XXXXXXXX") || die "cannot write to $cache"
  trap 'rm -rf "$making"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  (fill_env "$making" "$lock") || die "could not make the Python environment from ${lock##*/}; the reason stands above"
  publish_env "$making" "$env_dir" || die "cannot move the finished environment to $env_dir"
  rm -rf "$making"
  trap - EXIT INT TERM
  find "$cache" -maxdepth 1 -name '.making.*' -mtime +1 -exec rm -rf {} + 2>/dev/null || : # left behind by a power cut
}
