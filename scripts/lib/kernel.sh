# A kernel of Debian's for the machine in which `make test-kernel` tries the network drivers. It is
# unpacked below the target folder and never installed.

kernel_present() {
    kernel_wanted || return 0
    ls "$target"/kernel/boot/vmlinuz-* >/dev/null 2>&1
}

# Debian has kernels for clouds, which are small, on these; QEMU's emulation of others is not set up.
kernel_wanted() {
    command -v apt-get >/dev/null && [ "$(dpkg --print-architecture)" = amd64 ]
}

unpack_kernel() {
    kernel_present && return 0
    [ -n "$(package_candidate linux-image-cloud-amd64)" ] || { can_be_root && refresh_lists; }
    # The package by this name is empty but for the one that it depends on, which has the version in its own.
    package=$(LC_ALL=C apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^  Depends: //p' | head -n 1)
    if [ -z "$package" ]; then
        say "apt knows no linux-image-cloud-amd64: make test-kernel will be skipped"
        return 0
    fi
    step "unpacking $package (not installing it)"
    rm -rf "$target/kernel" "$target/kernel.new"
    mkdir -p "$target/kernel.new/package"
    if ! (cd "$target/kernel.new/package" && apt-get download "$package") >"$target/apt.log" 2>&1; then
        tail -n 12 "$target/apt.log" | sed 's/^/    /' >&2
        say "$package cannot be downloaded: make test-kernel will be skipped"
        return 0
    fi
    dpkg -x "$target"/kernel.new/package/*.deb "$target/kernel.new"
    rm -r "$target/kernel.new/package"
    mv "$target/kernel.new" "$target/kernel"
}
