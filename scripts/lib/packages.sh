# Debian packages.

# Those of the names given that are not installed.
packages_missing() {
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii *//p' | tr '\n' ' ')
    for package in "$@"; do
        case " $installed" in
        *" $package "*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

packages_present() {
    command -v dpkg-query >/dev/null || return 0
    [ -z "$(packages_missing "$@")" ]
}

# A package's version that apt would install; nothing when it knows none.
package_candidate() {
    command -v apt-cache >/dev/null || return 0
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(].*\)/\1/p'
}

# Package lists, once a run: an image of Debian comes without any.
refresh_lists() {
    [ -z "${lists_fresh:-}" ] || return 0
    lists_fresh=yes
    step "apt-get update"
    apt_get update || say "package lists cannot be refreshed; going on with those that are here"
}

# Runs a command as root: directly, or by sudo where this user may.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt-get with its many lines in a log, of which the end is shown when it fails. It never removes a package.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y --no-install-recommends --no-remove "$@" >"$target/apt.log" 2>&1 </dev/null && return 0
    tail -n 12 "$target/apt.log" | sed 's/^/    /' >&2
    return 1
}

can_be_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null && return 0
    # A person may be asked for a password; a machine may not.
    [ -t 0 ] && [ -z "${CI:-}" ] && sudo -v
}

# Stops with the exact list where packages cannot be installed.
need_root_for() {
    can_be_root && return 0
    stop "this user is neither root nor may use sudo. Ask for these Debian packages, then run it again:
  apt-get install --no-install-recommends $*"
}

install_packages() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "this is no Debian: not checking packages. Debian's names of what is needed:" "$@"
        return 0
    fi
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    need_root_for "$missing"
    refresh_lists
    step "installing $missing"
    # shellcheck disable=SC2086  # a list of words
    if ! apt_get install $missing; then
        install_release_qemu $missing
    fi
    missing_still=$(packages_missing "$@")
    [ -z "$missing_still" ] || stop "still missing after apt-get installed them: $missing_still"
    keep_off "$missing" openssh-server ssh.service ssh.socket
    keep_off "$missing" openvswitch-switch openvswitch-switch.service
}

# A qemu-utils from backports and the release's QEMU exclude each other. Only where that may be the trouble,
# the release's own versions are asked for by name, which takes the newer qemu-utils back.
install_release_qemu() {
    release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    case " $* " in
    *" qemu-"*) ;;
    *) stop "apt-get could not install: $*" ;;
    esac
    [ -n "$release" ] || stop "apt-get could not install: $*"
    say "apt-get could not install them together; trying QEMU in $release's own version (this may downgrade qemu-utils)"
    others=
    for package in "$@"; do
        case "$package" in
        qemu-system-x86 | qemu-utils) ;;
        *) others="$others $package" ;;
        esac
    done
    # shellcheck disable=SC2086
    apt_get install --allow-downgrades \
        "qemu-system-x86/$release" "qemu-utils/$release" $others ||
        stop "apt-get could not install: $*"
}

# The tests start daemons of their own, an sshd on loopback say; nobody asked for ones that serve the system.
#
#   keep_off 'INSTALLED…' PACKAGE UNIT…
keep_off() {
    case " $1 " in
    *" $2 "*) ;;
    *) return 0 ;;
    esac
    [ -d /run/systemd/system ] || return 0
    new=$2
    shift 2
    as_root systemctl disable --now --quiet "$@" 2>/dev/null || true
    say "the service of $new, new on this machine, is switched off: the tests use their own"
}
