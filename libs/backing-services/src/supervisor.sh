# Runs a server for as long as the process that asked for it lives.
#
# That process holds the other end of our standard input. It may send "stop", "kill", "pause" or "resume"; when it is gone, however it
# went, the reading ends, and the server is stopped and its scratch folder removed. When the server ends by itself, so
# do we, with its exit code.
#
# Arguments: the signal that stops the server in good order, the seconds until it is killed when it does not, the
# scratch folder or nothing, then the server's program and arguments.
signal=$1 grace=$2 scratch=$3
shift 3

# Background jobs of a shell read from nowhere: keep the pipe under another number.
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
server=$!
echo "$server"
exec >&2

gone=
trap 'gone=1' USR1

# PostgreSQL's workers lead process groups of their own; a power cut would take them too.
kill_all() {
    workers=$(cat "/proc/$server/task/$server/children" 2>/dev/null || pgrep -P "$server" 2>/dev/null)
    # The numbers are separate words on purpose.
    # shellcheck disable=SC2086
    kill -KILL "$server" $workers
}

(
    while read -r order <&3; do
        case $order in
            kill) kill_all ;;
            stop) kill -s "$signal" "$server" ;;
            pause) kill -s STOP "$server" ;;
            resume) kill -s CONT "$server" ;;
        esac
    done
    # $$ is the outer shell, also in here.
    kill -USR1 $$
    kill -s CONT "$server"
    kill -s "$signal" "$server"
    while [ "$grace" -gt 0 ] && kill -0 "$server"; do
        # Not into the log: whoever holds the log open holds the data folder.
        sleep 1 >/dev/null 2>&1 3<&-
        grace=$((grace - 1))
    done
    kill_all
) 2>/dev/null &
watcher=$!
exec 3<&-

# The news that our process is gone interrupts the waiting.
while :; do
    wait "$server"
    code=$?
    kill -0 "$server" 2>/dev/null || break
done
kill "$watcher" 2>/dev/null
if [ -n "$gone" ] && [ -n "$scratch" ]; then
    rm -rf -- "$scratch"
fi
exit "$code"
