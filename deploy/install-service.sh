#!/usr/bin/env bash
# Filmroom as a service of systemd (FWD-5): runs without a login, as a user of its own with least rights, comes back after
# a failure. install | uninstall | status | unit; see usage below. Tried with a systemd 252 that really booted: README.md here.
set -euo pipefail
umask 022  # the service's user has to read its program
here=$(cd "$(dirname "$0")" && pwd)

usage() {
  cat <<'END'
install-service.sh install [options]   user, folders, unit; starts it
install-service.sh uninstall [--purge] stops and removes service, firewall rules and program; the data stay unless --purge
install-service.sh status              what runs
install-service.sh unit [options]      prints the unit file and changes nothing

  --forwarder FILE  a pure store-and-forward box without pages, set up by this JSON file (copied to /etc/filmroom)
  --full            the whole station with its pages (the default without --forwarder)
  --wheel FILE      installs this wheel first, beside the version that runs; /opt/filmroom then leads to the new one
  --program PATH    the filmroom command to run; default /opt/filmroom/bin/filmroom
  --data DIR        default /var/lib/filmroom
  --user NAME       default filmroom; made when it is not there
  --boot            also starts when the machine does
  --firewall        opens the DICOM port in ufw or firewalld, whichever is active
  --dry-run         says what would be done and does nothing
END
}
say() { printf 'filmroom: %s\n' "$*"; }
die() { printf 'filmroom: %s\n' "$*" >&2; exit 1; }

verb=${1:-help}; shift || true
forwarder='' wheel='' program='' data=/var/lib/filmroom user=filmroom boot='' firewall='' dry='' purge=''
while [ $# -gt 0 ]; do
  case $1 in
    --forwarder|--wheel|--program|--data|--user)
      [ $# -ge 2 ] || die "$1 needs a value"
      printf -v "${1#--}" '%s' "$2"; shift ;;
    --full) forwarder='' ;;
    --boot) boot=yes ;;
    --firewall) firewall=yes ;;
    --dry-run) dry=yes ;;
    --purge) purge=yes ;;
    *) usage >&2; die "unknown option $1" ;;
  esac
  shift
done
[ -n "$program" ] || program=/opt/filmroom/bin/filmroom
name=filmroom; [ -z "$forwarder" ] || name=filmroom-forwarder
unit=/etc/systemd/system/$name.service
kept=/etc/filmroom/service.conf

# Every change of the machine goes through these two, so that --dry-run shows all of it.
run() {
  if [ -n "$dry" ]; then printf '+'; printf ' %q' "$@"; printf '\n'; else "$@"; fi
}
put() {  # put FILE MODE OWNER:GROUP < content
  if [ -n "$dry" ]; then printf '+ write %s (%s, %s)\n' "$1" "$2" "$3"; cat >/dev/null; return; fi
  local new; new=$(mktemp "$1.XXXXXX")
  cat >"$new"; chmod "$2" "$new"; chown "$3" "$new"; mv "$new" "$1"
}
needs_root() { [ -n "$dry" ] || [ "$(id -u)" = 0 ] || die "this changes the machine: run it as root, or with --dry-run"; }

value_of() {  # value_of KEY: as filmroom itself reads file and defaults
  local options=(--data "$data"); [ -z "$forwarder" ] || options+=(--config "$forwarder")
  "$program" config "${options[@]}" | sed -n "s/^$1 = //p"
}

render() {
  local description command writes='' folder
  description='Filmroom, DICOM print, archive and routing station'
  command="$program serve --data $data"
  if [ -n "$forwarder" ]; then
    description='Filmroom, DICOM store and forward'
    command="$command --headless --config /etc/filmroom/forwarder.json"
  fi
  for folder in "$data" $( [ ! -x "$program" ] || { value_of store_dir; value_of log_dir; } ); do
    case $folder in
      /var/lib/filmroom|/var/lib/filmroom/*|/var/log/filmroom|/var/log/filmroom/*) ;;
      *) writes+="ReadWritePaths=$folder"$'\n' ;;
    esac
  done
  local text; text=$(<"$here/systemd/filmroom.service.in")
  text=${text//@DESCRIPTION@/$description}
  text=${text//@DOCUMENTATION@/$(dirname "$here")/README.md}
  text=${text//@USER@/$user}
  text=${text//@COMMAND@/$command}
  text=${text//@WRITES@/${writes%$'\n'}}
  printf '%s\n' "$text"
}

check() {
  case $program in /home/*|/root/*) die "$program lies in somebody's home, which the service may not see; use --wheel, or put it under /opt" ;; esac
  case "$data$program" in *[[:space:]]*) die "folders with spaces are not supported here" ;; esac
  # The file is copied, and a relative folder counts from where the file lies; ~ would be root's home.
  if [ -n "$forwarder" ]; then
    [ -r "$forwarder" ] || die "$forwarder cannot be read"
    ! grep -qE '"(storage_dir|log_dir)"[[:space:]]*:[[:space:]]*"[^/"]' "$forwarder" || die "write folders as whole paths, from /, in $forwarder"
  fi
  if [ -n "$wheel" ]; then [ -f "$wheel" ] || die "$wheel is not there"; return; fi
  [ -x "$program" ] || die "$program is not there: give --wheel FILE, or --program PATH"
  [ -z "$forwarder" ] || value_of aet >/dev/null || die "$forwarder is not right; the reason stands above"
}

# An upgrade leaves what runs alone until the new version is whole: a service imports some of its parts late, and a
# network that fails in the middle must not leave half a program. The version before stays, for the way back.
install_program() {
  local releases=/opt/filmroom-releases release
  release=$releases/$(date -u +%Y%m%dT%H%M%SZ)
  [ -L /opt/filmroom ] || [ ! -e /opt/filmroom ] || die "/opt/filmroom is there and was not made by this script; move it away"
  run install -d -m 0755 "$releases"
  if ! { run python3 -m venv "$release" && install_locked "$release"; }; then
    rm -rf "$release"; die "the wheel could not be installed; what was there before runs on"
  fi
  program=$release/bin/filmroom
  if [ -z "$dry" ] && [ -n "$forwarder" ] && ! value_of aet >/dev/null; then
    rm -rf "$release"; die "$forwarder is not right; the reason stands above"
  fi
  run ln -sfn "$release" /opt/filmroom.new
  run mv -T /opt/filmroom.new /opt/filmroom
  [ -n "$dry" ] || find "$releases" -mindepth 1 -maxdepth 1 -type d | sort | head -n -2 | while read -r old; do rm -rf "$old"; done
}

# The wheel carries the lock of its own dependencies: exactly those versions, checked by their hashes.
install_locked() {  # install_locked RELEASE
  local lock; lock=$(mktemp -d)
  if [ -z "$dry" ]; then
    python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read("app/_bundled/constraints.txt"))' \
      "$wheel" >"$lock/constraints.txt" || { rm -rf "$lock"; return 1; }
  fi
  run "$1/bin/pip" install --quiet --require-hashes -r "$lock/constraints.txt" && run "$1/bin/pip" install --quiet --no-deps "$wheel"
  local result=$?
  rm -rf "$lock"
  return $result
}

open_firewall() {  # open_firewall PORT: the rule's name is kept for uninstall
  if command -v ufw >/dev/null && ufw status 2>/dev/null | grep -q '^Status: active'; then
    run ufw allow "$1/tcp" comment Filmroom; rule="ufw $1"
  elif command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
    run firewall-cmd --permanent --add-port="$1/tcp"; run firewall-cmd --reload; rule="firewalld $1"
  else
    say "neither ufw nor firewalld is active; no rule was made"
  fi
}

install_service() {
  needs_root; check
  if ! id -u "$user" >/dev/null 2>&1; then
    run useradd --system --home-dir "$data" --no-create-home --shell /usr/sbin/nologin "$user"
  fi
  run install -d -m 0755 /etc/filmroom
  if [ -n "$wheel" ]; then
    install_program
    program=/opt/filmroom/bin/filmroom
  fi
  local port=11112 rule='' outside=''
  [ ! -x "$program" ] || port=$(value_of dicom_port)
  run install -d -m 0700 -o "$user" -g "$user" "$data"
  if [ -n "$forwarder" ]; then
    local folder
    for folder in $( [ ! -x "$program" ] || { value_of store_dir; value_of log_dir; } ); do
      run install -d -m 0700 -o "$user" -g "$user" "$folder"
      case $folder in "$data"/*|/var/log/filmroom|/var/log/filmroom/*) ;; *) outside+="$folder " ;; esac
    done
    put /etc/filmroom/forwarder.json 0640 "root:$user" <"$forwarder"
  fi
  render | put "$unit" 0644 root:root
  [ -z "$firewall" ] || open_firewall "$port"
  printf 'name=%s\nuser=%s\ndata=%s\nrule=%s\nwheel=%s\noutside=%s\n' \
    "$name" "$user" "$data" "$rule" "${wheel:+yes}" "$outside" | put "$kept" 0644 root:root
  run systemctl daemon-reload
  if [ -n "$boot" ]; then run systemctl enable "$name.service"; fi
  run systemctl restart "$name.service"
  say "installed as $name; look at it with: systemctl status $name, $program status --data $data"
}

uninstall_service() {
  needs_root
  local rule='' kept_wheel='' outside=''
  if [ -r "$kept" ]; then
    name=$(sed -n 's/^name=//p' "$kept"); user=$(sed -n 's/^user=//p' "$kept"); data=$(sed -n 's/^data=//p' "$kept")
    rule=$(sed -n 's/^rule=//p' "$kept"); kept_wheel=$(sed -n 's/^wheel=//p' "$kept")
    outside=$(sed -n 's/^outside=//p' "$kept")
    unit=/etc/systemd/system/$name.service
  fi
  run systemctl disable --now "$name.service" || true
  run rm -f "$unit" "$kept"
  run systemctl daemon-reload
  case $rule in
    ufw*) run ufw delete allow "${rule#ufw }/tcp" ;;
    firewalld*) run firewall-cmd --permanent --remove-port="${rule#firewalld }/tcp"; run firewall-cmd --reload ;;
  esac
  [ -z "$kept_wheel" ] || run rm -rf /opt/filmroom /opt/filmroom-releases
  if [ -n "$purge" ]; then
    run rm -rf "$data" /var/log/filmroom /etc/filmroom
    if id -u "$user" >/dev/null 2>&1; then run userdel "$user"; fi
    say "removed, with the data and their keys"
    # somebody's own folder: what lies there cannot be read without the keys, but it is theirs to delete
    [ -z "$outside" ] || say "left alone, as they may hold other things too: $outside"
  else
    say "removed; the data stay in $data, the settings in /etc/filmroom"
  fi
}

case $verb in
  install) install_service ;;
  uninstall) uninstall_service ;;
  unit) render ;;
  status) systemctl status "filmroom*.service" --no-pager || exit $? ;;
  help|-h|--help) usage ;;
  *) usage >&2; exit 2 ;;
esac
