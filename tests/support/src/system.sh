# Before the first line of keeper.sh, where the daemon is a host's own: its folders are private ones. Argument: the
# folder that has them.
set -e
mount --bind "$1/run" /run
mount --bind "$1/config/libvirt" /etc/libvirt
for folder in /var/lib/libvirt /var/log/libvirt /var/cache/libvirt; do
    mkdir -p "$folder"
    mount -t tmpfs none "$folder"
done
ip link set lo up
shift
