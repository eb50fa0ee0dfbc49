# Before the first line of keeper.sh, where the daemon is a host's own: its folders are private ones. Argument: the
# folder that has them.
set -e
mount --bind "$1/run" /run
mount --bind "$1/config/libvirt" /etc/libvirt
for folder in /var/lib/libvirt /var/log/libvirt /var/cache/libvirt; do
    mkdir -p "$folder"
    mount -t tmpfs none "$folder"
done
# libvirt does not start without the user that its package for whole hosts makes, though nothing runs as that here.
if ! getent passwd libvirt-qemu >/dev/null; then
    { cat /etc/passwd; echo libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin; } >"$1/passwd"
    { cat /etc/group; echo libvirt-qemu:x:64055:; } >"$1/group"
    mount --bind "$1/passwd" /etc/passwd
    mount --bind "$1/group" /etc/group
fi
ip link set lo up
shift
