# Around a launch on a device, in plain sh: a sampler beside it; idle stretches and markers before and after.
#   sh around.sh KEY PERIOD LIMIT SLOW IDLE SETTLE MARKED ROOT COMMAND...
# KEY stands first in what is written, so that an old file is never taken for a new one. PERIOD is in
# seconds (0: no sampler), LIMIT in thousandths of a degree (0: none), SLOW how many periods lie between
# two looks at Android's thermal service, IDLE and SETTLE in seconds, MARKED 1 for markers, ROOT stands
# before /sys. All goes into the file `around` of the current folder, one line a value, each line whole:
#   N PATH            what number N is        N.TEXT   a line of it
#   @ UPTIME          a sample begins         > TEXT   a line of the thermal service
#   hot PATH TEXT     the launch was ended    idle_before BEGIN END
#   tick NAME U WALL  at uptime U (hundredths of a second) the wall clock said WALL
#   burst NAME BEGIN END    a burst of load, by the wall clock
key=$1 period=$2 limit=$3 slow=$4 idle=$5 settle=$6 marked=$7 root=$8
shift 8
parent=$PPID
echo "$key" >around
exec 9>>around
rm -f around.pid

uptime_cs() {
    read -r u _ </proc/uptime
    u=${u%.*}${u#*.}
}

until_uptime_cs() {
    while uptime_cs && [ "$u" -lt "$1" ]; do :; done
}

sample() {
    exec >&9 2>/dev/null </dev/null
    zones=" "
    for zone in "$root"/sys/class/thermal/thermal_zone* "$root"/sys/class/thermal/cooling_device*; do
        if read -r kind <"$zone/type"; then echo "type $zone $kind"; fi
        if [ -e "$zone/temp" ]; then zones="$zones$zone/temp "; fi
    done
    # What cannot be read once is not asked for again.
    set -- /proc/loadavg /proc/pressure/cpu
    for path in "$root"/sys/class/thermal/thermal_zone*/temp \
        "$root"/sys/class/thermal/cooling_device*/cur_state \
        "$root"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq \
        "$root"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_max_freq; do
        if read -r line <"$path"; then set -- "$@" "$path"; fi
    done
    n=0
    for path; do
        n=$((n + 1))
        echo "$n $path"
    done
    has_service=0
    if command -v dumpsys >/dev/null; then has_service=1; fi
    page=$(getconf PAGESIZE)
    if [ -n "$page" ]; then echo "page $page"; fi
    turn=0 pid=
    while kill -0 $$; do
        if ! kill -0 "$parent"; then kill -KILL $$ $pid; fi # whoever wanted it is gone
        if [ -z "$pid" ] && [ -s around.pid ]; then read -r pid <around.pid; fi
        read -r up _ </proc/uptime
        echo "@ $up"
        IFS= read -r line </proc/stat && echo "stat.$line"
        {
            read -r _
            read -r _
            IFS= read -r line
        } </proc/meminfo && echo "meminfo.$line"
        n=0
        for path; do
            n=$((n + 1))
            if IFS= read -r line <"$path"; then
                echo "$n.$line"
                case $zones in
                *" $path "*)
                    if [ "$limit" -gt 0 ] && [ "$line" -gt "$limit" ] && [ "$line" -le 200000 ] &&
                        [ -n "$pid" ]; then
                        echo "hot $path $line"
                        kill -KILL "$pid"
                    fi
                    ;;
                esac
            fi
        done
        if [ -n "$pid" ]; then
            IFS= read -r line <"/proc/$pid/stat" && echo "pstat.$line"
            IFS= read -r line <"/proc/$pid/statm" && echo "pstatm.$line"
        fi
        if [ $has_service = 1 ] && [ $((turn % slow)) = 0 ]; then
            dumpsys thermalservice | while IFS= read -r line; do echo "> $line"; done
        fi
        turn=$((turn + 1))
        sleep "$period"
    done
}

marker() {
    uptime_cs
    until_uptime_cs $((u + 1))
    echo "tick $1 $u $(date +%s.%N)" >&9
    sleep 0.4
    for pair in 30:0.2 45:0.25 20:0.3; do
        begin=$(date +%s.%N)
        uptime_cs
        until_uptime_cs $((u + ${pair%:*}))
        echo "burst $1 $begin $(date +%s.%N)" >&9
        sleep "${pair#*:}"
    done
    sleep 0.4
}

rest() {
    read -r begin _ </proc/uptime
    sleep "$idle"
    read -r end _ </proc/uptime
    echo "$1 $begin $end" >&9
}

if [ "$period" != 0 ]; then sample & fi
if [ "$idle" = 0 ] && [ "$marked" = 0 ]; then
    # The command takes this process's place: its number, its parent, its exit code.
    echo $$ >around.pid
    exec 9>&-
    exec "$@"
fi
if [ "$marked" = 1 ]; then marker marker_before && sleep "$settle"; fi
if [ "$idle" != 0 ]; then rest idle_before; fi
times >around.before
"$@" 9>&- &
child=$!
echo $child >around.pid
wait $child
code=$?
rm -f around.pid
times >around.after
{
    echo "times"
    cat around.before around.after
} >&9
rm -f around.before around.after
if [ "$code" != 137 ] && [ "$idle" != 0 ]; then
    sleep "$settle"
    rest idle_after
fi
if [ "$code" != 137 ] && [ "$marked" = 1 ]; then sleep "$settle" && marker marker_after; fi
exit "$code"
