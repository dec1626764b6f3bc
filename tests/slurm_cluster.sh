#!/usr/bin/env bash
# A real SLURM on one machine, for tests: Debian's packages, run as root, without systemd, cgroups or accounting.
#
#   slurm_cluster.sh FOLDER install | start | stop
#   slurm_cluster.sh FOLDER crash-node N    kill a node's daemon and every process of its jobs, as a power cut does
#   slurm_cluster.sh FOLDER kill-daemon N   kill the daemon only: its jobs go on and nobody knows
#   slurm_cluster.sh FOLDER start-node N    bring the node back
#   slurm_cluster.sh FOLDER kill-controller | start-controller
#   slurm_cluster.sh FOLDER hush-controller | wake-controller    it hears everything and answers nothing, for a while
#
# Two nodes, n1 and n2, have two GPUs each that are not there. Everything lies in FOLDER, whose parents all need
# o+x and whose path must be short, since sockets lie in it; outside is only the link /etc/slurm/slurm.conf, for
# Snakemake's job steps drop SLURM_CONF.
set -uo pipefail

DIR=$1
COMMAND=${2:-}
PORT=${SLURM_TEST_PORT:-17817} # the controller's; the nodes have the next two
export SLURM_CONF=$DIR/etc/slurm.conf
LINK=/etc/slurm/slurm.conf
PACKAGES="slurmctld slurmd slurm-client munge"
NODES="n1 n2"

fail() {
    echo "slurm_cluster: $*" >&2
    for log in "$DIR"/log/*.out; do [ -s "$log" ] && tail -n 5 "$log" >&2; done
    exit 1
}

install() {
    # Without systemd nothing else keeps the packages from starting daemons of their own.
    local policy=/usr/sbin/policy-rc.d made=
    dpkg -s $PACKAGES >/dev/null 2>&1 && return
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=yes; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES
    local status=$?
    [ -z "$made" ] || rm -f $policy
    return $status
}

configure() {
    mkdir -p "$DIR"/{etc,run,log,state,munge,dev,spool-n1,spool-n2} && chmod 755 "$DIR" "$DIR/munge"
    [ -s "$DIR/etc/munge.key" ] || (umask 077 && head -c 1024 /dev/urandom >"$DIR/etc/munge.key")
    # slurmd wants device files: copies of /dev/null will do.
    for gpu in 0 1; do [ -c "$DIR/dev/gpu$gpu" ] || mknod "$DIR/dev/gpu$gpu" c 1 3 || fail "mknod is not allowed"; done
    echo "Name=gpu File=$DIR/dev/gpu[0-1]" >"$DIR/etc/gres.conf"
    local host
    host=$(hostname -s)
    # cred_expire: with its default a requeued job starts again after two minutes. MinJobAge: squeue tells of jobs
    # that have ended for as long.
    cat >"$SLURM_CONF" <<CONF
ClusterName=songreel
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
AuthInfo=socket=$DIR/munge/munge.socket,cred_expire=5
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool-%n
SlurmctldPidFile=$DIR/run/controller
SlurmdPidFile=$DIR/run/%n
SlurmctldLogFile=$DIR/log/controller.log
SlurmdLogFile=$DIR/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=100000,batch_sched_delay=0
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MessageTimeout=5
MinJobAge=86400
SlurmdTimeout=5
ReturnToService=2
GresTypes=gpu
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 1)) CPUs=8 RealMemory=64000 Gres=gpu:2 Weight=1
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 2)) CPUs=8 RealMemory=64000 Gres=gpu:2 Weight=2
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE
PartitionName=gpu Nodes=ALL MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
CONF
}

launch() { # NAME COMMAND...
    local name=$1
    shift
    setsid "$@" </dev/null >"$DIR/log/$name.out" 2>&1 &
    echo $! >"$DIR/run/$name.pid"
}

process() { cat "$DIR/run/$1.pid" 2>/dev/null; }

alive() { # a process of ours, whose number nobody else has been given since
    grep -qaF "$DIR/" "/proc/$(process "$1")/cmdline" 2>/dev/null
}

end() {
    alive "$1" || return 0
    kill "$(process "$1")"
    for _ in $(seq 50); do alive "$1" || return 0; sleep 0.1; done
    kill -9 "$(process "$1")"
}

start_munge() {
    local socket=$DIR/munge/munge.socket
    rm -f "$socket"*
    launch munge munged --foreground --key-file="$DIR/etc/munge.key" --socket="$socket" \
        --pid-file="$DIR/munge/pid" --log-file="$DIR/log/munge.log" --seed-file="$DIR/munge/seed"
    for _ in $(seq 100); do
        munge -S "$socket" -n 2>/dev/null | unmunge -S "$socket" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "munge does not answer"
}

start_node() { launch "$1" slurmd -D -N "$1" -f "$SLURM_CONF"; }

start() {
    alive controller && return
    [ ! -e $LINK ] || [ "$(readlink $LINK)" = "$SLURM_CONF" ] || fail "$LINK is there: this machine has a SLURM of its own"
    configure
    ln -sfn "$SLURM_CONF" $LINK
    start_munge
    launch controller slurmctld -D -c -f "$SLURM_CONF" # -c: no node stays drained from the last time
    for node in $NODES; do start_node $node; done
    for _ in $(seq 300); do
        [ "$(sinfo -h -N -p cpu -o %t 2>/dev/null | grep -cx idle)" = 2 ] && return
        for daemon in munge controller $NODES; do alive $daemon || fail "$daemon died"; done
        sleep 0.2
    done
    fail "the nodes are not idle"
}

stop() {
    if alive controller; then
        timeout 10 scancel -u root
        for _ in $(seq 40); do [ -z "$(timeout 5 squeue -h)" ] && break; sleep 0.25; done
    fi
    for daemon in $NODES controller munge; do end $daemon; done
    for step in $(steps n1) $(steps n2); do kill -9 $(family "$step") 2>/dev/null; done
    [ "$(readlink $LINK)" = "$SLURM_CONF" ] && rm $LINK
    return 0
}

steps() { # a node's step daemons, which write to its log
    local folder
    for folder in /proc/[0-9]*; do
        [ "$(cat "$folder/comm" 2>/dev/null)" = slurmstepd ] &&
            ls -l "$folder/fd" 2>/dev/null | grep -qF -- "-> $DIR/log/$1.log" && echo "${folder#/proc/}"
    done
}

family() {
    local child
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do family "$child"; done
}

crash_node() {
    local step
    kill -9 "$(process "$1")"
    for step in $(steps "$1"); do kill -9 $(family "$step") 2>/dev/null; done
    return 0
}

case $COMMAND in
install) install ;;
start) start ;;
stop) stop ;;
crash-node) crash_node "$3" ;;
kill-daemon) kill -9 "$(process "$3")" ;;
start-node) start_node "$3" ;;
kill-controller) kill -9 "$(process controller)" ;;
hush-controller) kill -STOP "$(process controller)" ;;
wake-controller) kill -CONT "$(process controller)" ;;
start-controller) launch controller slurmctld -D -f "$SLURM_CONF" ;;
*) sed -n '3,10p' "$0" && exit 2 ;;
esac
