# A kernel of Debian's for the machines in which tests try network drivers and hot-plugging, and QEMU's guest agent
# for them. They are unpacked below the target folder and never installed.

kernel_present() {
    kernel_wanted || return 0
    ls "$target"/kernel/boot/vmlinuz-* "$target/kernel/usr/sbin/qemu-ga" >/dev/null 2>&1
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
        say "apt knows no linux-image-cloud-amd64: tests with a kernel of their own will be skipped"
        return 0
    fi
    step "unpacking $package and qemu-guest-agent (not installing them)"
    rm -rf "$target/kernel" "$target/kernel.new"
    mkdir -p "$target/kernel.new/packages"
    if ! (cd "$target/kernel.new/packages" && apt-get download "$package" qemu-guest-agent) >"$target/apt.log" 2>&1; then
        tail -n 12 "$target/apt.log" | sed 's/^/    /' >&2
        say "they cannot be downloaded: tests with a kernel of their own will be skipped"
        return 0
    fi
    for file in "$target"/kernel.new/packages/*.deb; do
        dpkg -x "$file" "$target/kernel.new"
    done
    rm -r "$target/kernel.new/packages"
    mv "$target/kernel.new" "$target/kernel"
}
