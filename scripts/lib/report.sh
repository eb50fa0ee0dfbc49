# How setup speaks.

say() {
    printf 'setup: %s\n' "$*"
}

# What it is about to do, so that a long silence has a name.
step() {
    printf 'setup: %s …\n' "$*"
}

stop() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}
