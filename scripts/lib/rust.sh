# The Rust toolchain. Two ways lead to drivers for wasm32-unknown-unknown:
#
#   prebuilt    the toolchain has the target's standard library, or rustup can fetch it
#   build-std   Debian's rustc-web and cargo-web build it from rust-web-src
#
# The first is taken where it is open. A machine without a Rust that is new enough gets Debian's for
# everything; one whose rustup is new enough but closed keeps it for native programs.

guest_target=wasm32-unknown-unknown
debian_rust='rustc-web cargo-web libstd-rust-web-dev rust-web-src lld-22'

required_rust() {
    sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml
}

# The rustc beside a cargo.
rustc_of() {
    printf '%s/rustc' "$(dirname "$1")"
}

# The version of the rustc beside a cargo.
rust_version() {
    "$(rustc_of "$1")" --version 2>/dev/null | cut -d ' ' -f 2
}

# True when version $1 is at least $2.
at_least() {
    [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

has_guest_target() {
    [ -d "$("$(rustc_of "$1")" --print sysroot 2>/dev/null)/lib/rustlib/$guest_target/lib" ]
}

add_guest_target() {
    has_guest_target "$1" && return 0
    rustup=$(dirname "$1")/rustup
    [ -x "$rustup" ] || return 1
    step "adding the target $guest_target"
    "$rustup" target add "$guest_target" && has_guest_target "$1"
}

# Sets `cargo`, `guest_way` and `rust_packages`, which are still to be installed.
choose_rust() {
    rust_packages=
    wanted=$(required_rust)
    for cargo in "$(command -v cargo || true)" "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin/cargo"; do
        [ -x "$cargo" ] || continue
        found=$(rust_version "$cargo")
        if at_least "$found" "$wanted"; then
            guest_way=prebuilt
            add_guest_target "$cargo" || need_debian_rust
            return 0
        fi
        say "$cargo belongs to Rust '${found:-unknown}', $wanted is needed: not used"
    done
    cargo=/usr/bin/cargo
    need_debian_rust
}

need_debian_rust() {
    guest_way=build-std
    rust_packages=$debian_rust
    packages_present $debian_rust && return 0
    command -v apt-get >/dev/null || stop "Rust $wanted with the target $guest_target is needed; install it with rustup"
    need_root_for "$(packages_missing $packages $debian_rust)"
    refresh_lists
    candidate=$(package_candidate rustc-web)
    at_least "$candidate" "$wanted" ||
        stop "Rust $wanted is needed, and rustc-web is '${candidate:-not known}' here. Install Rust with rustup, or" \
            "let apt see bookworm-security; then run it again"
}

# What was chosen, looked at again once everything is installed.
check_rust() {
    at_least "$(rust_version "$cargo")" "$wanted" || stop "$cargo is not of Rust $wanted or later"
    [ "$guest_way" = prebuilt ] || at_least "$(rust_version /usr/bin/cargo)" "$wanted" ||
        stop "/usr/bin/cargo is not of Rust $wanted or later"
}

# Assignments in the shell's syntax.
write_toolchain() {
    {
        printf '# How this machine builds. Written by scripts/setup; remove it to have the choice made again.\n'
        printf "CARGO='%s'\nGUEST_WAY='%s'\n" "$cargo" "$guest_way"
    } >"$1.new"
    mv "$1.new" "$1"
}

toolchain_works() {
    [ -r "$target/toolchain" ] || return 1
    . "$target/toolchain"
    at_least "$(rust_version "$CARGO")" "$(required_rust)" || return 1
    case "$GUEST_WAY" in
    prebuilt) has_guest_target "$CARGO" ;;
    *) packages_present $debian_rust ;;
    esac
}

describe_rust() {
    case "$guest_way" in
    prebuilt) drivers="its own $guest_target" ;;
    *) drivers="Debian's Rust, which builds the standard library as well" ;;
    esac
    printf 'Rust %s (%s), drivers with %s' "$(rust_version "$cargo")" "$cargo" "$drivers"
}

prepare_lint() {
    [ -r "$target/toolchain" ] || stop "run scripts/setup first"
    . "$target/toolchain"
    if ! "$CARGO" clippy --version >/dev/null 2>&1 || ! "$CARGO" fmt --version >/dev/null 2>&1; then
        rustup=$(dirname "$CARGO")/rustup
        if [ -x "$rustup" ]; then
            step "adding clippy and rustfmt"
            "$rustup" component add clippy rustfmt
        else
            install_packages rust-web-clippy rustfmt-web
        fi
    fi
    if ! "$CARGO" deny --version >/dev/null 2>&1; then
        # Not optimised: it runs for seconds, and would take minutes longer to build.
        step "building cargo-deny, once"
        "$CARGO" install cargo-deny --locked --debug --target-dir "$target/cargo-deny"
        rm -rf "$target/cargo-deny"
    fi
}
