#!/usr/bin/env bash
# A device to the adb client: Debian's adbd in a root, mount and pid namespace of its own, with Android's
# shell (mksh) and tools (toybox), stand-ins for Android's commands, and files in place of /sys.
#   box.sh ADBD_ROOT FOLDER PORT STAND_INS [SYSTEM]
# SYSTEM is the root whose /usr the device has, perhaps of another architecture; this machine's by default.
set -euo pipefail
adbd="$1/usr" folder="$2" port="$3" standins="$4" system="${5:-}"
mount --make-rprivate /
root="$folder/root"
mkdir -p "$root"
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p usr etc proc sys dev tmp run opt/adbd data sdcard system/bin shared
mount --bind "$system/usr" usr
mount -o remount,ro,bind usr
mount --bind "$system/usr/bin/mksh" usr/bin/dash
for name in bin sbin lib lib64; do
    if [ -L "$system/$name" ]; then cp -P "$system/$name" "$name"; fi
done
mount --bind /etc etc
mount --bind "$adbd" opt/adbd
mount --bind "$folder/shared" shared
mount --bind "$folder/sys" sys
mount -t proc proc proc
mount --bind "$folder/shared/boot_id" proc/sys/kernel/random/boot_id
mount -t tmpfs -o size=400m tmpfs data
mkdir -p data/local/tmp
mount -t tmpfs tmpfs dev
mkdir -p dev/pts dev/shm
for name in null zero random urandom tty full; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666,mode=620
ln -s pts/ptmx dev/ptmx
ln -s /usr/bin/python3 system/bin/python3
for name in $(/usr/sbin/chroot "${system:-/}" /usr/bin/toybox); do ln -s /usr/bin/toybox "system/bin/$name"; done
for path in "$standins"/*; do
    rm -f "system/bin/${path##*/}"
    cp "$path" "system/bin/${path##*/}"
    chmod 755 "system/bin/${path##*/}"
done
cat > init <<'INIT'
#!/bin/sh
# Starts adbd again when it ends: at once after a crash, with a new boot id after a reboot.
libraries="$(echo /opt/adbd/lib/*-linux-gnu*)"
loader="$(echo /opt/adbd/lib*/ld-linux*.so.* /opt/adbd/lib/*-linux-gnu*/ld-linux*.so.*)"
loader="${loader%% *}"
[ -e "$loader" ] || loader="$(ls /opt/adbd/lib/*/ld-linux*.so.* | head -n 1)"
while true; do
    "$loader" --library-path "$libraries:$libraries/android" \
        /opt/adbd/lib/android-sdk/platform-tools/adbd </dev/null &
    echo $! > /run/adbd.pid
    wait $!
    if [ -e /run/reboot ]; then
        rm -rf /run/reboot /data/local/tmp/.forgotten
        cat /proc/sys/kernel/random/uuid > /shared/boot_id
        sleep 0.5
    fi
done
INIT
chmod 755 init
export ADBD_PORT="$port" PATH=/system/bin:/usr/bin:/bin
unset "${!ANDROID@}" HOME
exec /usr/sbin/chroot "$root" /init
