# Process 1 of the private namespace: starts a daemon for every line it reads, reaps what the daemons
# leave behind (as bash does by itself), and takes everything with it when its input ends.
# Arguments: log file, pid file.
while read -r _; do
    /usr/sbin/libvirtd --pid-file "$2" </dev/null >>"$1" 2>&1 &
done
