//! Broken files give an `Err`, in little time and memory: cut off anywhere, with bytes changed, and made to ask for
//! much.

use std::time::{Duration, Instant};

use deep_rnn::ndarray::Array3;
use deep_rnn::onnx;
use deep_rnn::prelude::*;
use peak_alloc::PeakAlloc;

use crate::files::{bytes, names};
use crate::fuzz::runs;
use crate::message::{cat, constant, int, model, node, text};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

#[test]
fn cut_off_anywhere() {
    for name in ["script-lstm2-bi", "dynamo-lstm1", "hand-opset11"] {
        let whole = bytes(name);
        assert!(onnx::read::<f32>(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(onnx::read::<f32>(&whole[..end]).is_err(), "{name} up to {end} of {}", whole.len());
        }
        println!("{name}: {} lengths", whole.len());
    }
}

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 16) as usize % bound
    }
}

#[test]
fn bytes_changed() {
    let all: Vec<Vec<u8>> = names("").iter().map(|name| bytes(name)).filter(|file| file.len() < 9000).collect();
    let (mut numbers, mut read, mut slowest) = (Numbers(1), 0, Duration::ZERO);
    let count = 2 * runs();
    for _ in 0..count {
        let mut file = all[numbers.below(all.len())].clone();
        for _ in 0..=numbers.below(3) {
            let at = numbers.below(file.len());
            match numbers.below(3) {
                0 => file[at] ^= 1 << numbers.below(8),
                1 => file[at] = numbers.below(256) as u8,
                _ => {
                    file.remove(at);
                }
            }
        }
        let start = Instant::now();
        let network = onnx::read::<f32>(&file);
        slowest = slowest.max(start.elapsed());
        // What is read can be run.
        if let Ok(network) = network {
            let ys = network.predict(&Array3::zeros((3, 2, network.input_size()))).unwrap();
            assert_eq!(ys.dim(), (network.output_steps(3), 2, network.output_size()));
            read += 1;
        }
    }
    println!("{count} files with bytes changed: {read} read, the others refused, slowest {slowest:?}");
    assert!(read > 0 && slowest < Duration::from_secs(5));
}

/// What must be refused fast.
fn refuse(what: &str, file: &[u8], words: &str) {
    let (start, before) = (Instant::now(), ALLOCATED.current_usage());
    ALLOCATED.reset_peak_usage();
    let error = onnx::read::<f32>(file).map(|_| ()).expect_err(what).to_string();
    let (time, peak) = (start.elapsed(), ALLOCATED.peak_usage().saturating_sub(before));
    println!("{what}: {} bytes, {time:?}, {peak} bytes at the peak: {:.200}", file.len(), error);
    assert!(error.contains(words), "{what}: {error}");
    assert!(time < Duration::from_secs(10), "{what}: {time:?}");
    // Other tests run beside it.
    assert!(peak < (64 << 20) + 64 * file.len(), "{what}: {peak} bytes");
}

#[test]
fn made_to_ask_for_much() {
    let x = || node("Identity", &["x"], &["y"], &[]);
    refuse("empty nodes", &model(&vec![Vec::new(); 100_001], &[]), "at most 100000");
    refuse("a million empty nodes", &model(&vec![Vec::new(); 1_000_000], &[]), "at most 100000");
    let attributes: Vec<Vec<u8>> = vec![Vec::new(); 100_000];
    refuse("empty attributes", &model(&[node("Relu", &["x"], &["y"], &attributes)], &[]), "at most 1000");
    refuse("nothing done", &model(&[x()], &[]), "an output that layers make of an input");

    // Graphs in attributes of nodes of graphs, deeper than a stack.
    let mut graph = Vec::new();
    for _ in 0..3000 {
        graph = [text(1, &node("If", &[], &[], &[[text(1, b"then_branch"), text(6, &graph)].concat()]))].concat();
    }
    let deep_node = node("If", &["x"], &["y"], &[[text(1, b"then_branch"), text(6, &graph)].concat()]);
    refuse("graphs inside each other", &model(&[deep_node], &[]), "(If)");

    // Each twice as long as the one before.
    let mut nodes: Vec<Vec<u8>> =
        (0..64).map(|i| cat(&format!("c{i}"), &format!("c{i}"), &format!("c{}", i + 1), 0)).collect();
    nodes.push(node("MatMul", &["x", "c64"], &["y"], &[]));
    refuse("doubling constants", &model(&nodes, &[constant("c0", &[1, 3], 3)]), "not many times");
    let mut nodes: Vec<Vec<u8>> =
        (0..64).map(|i| cat(&format!("c{i}"), &format!("c{i}"), &format!("c{}", i + 1), 0)).collect();
    nodes.insert(0, node("Shape", &["x"], &["c0"], &[]));
    nodes.push(node("Reshape", &["x", "c64"], &["y"], &[]));
    refuse("doubling sizes", &model(&nodes, &[]), "at most 16");

    // A tower, and sums of its ends.
    let k = constant("k", &[], 1);
    let mut nodes: Vec<Vec<u8>> = vec![node("MatMul", &["x", "w"], &["t0"], &[])];
    nodes.extend((0..9000).map(|i| node("Mul", &[&format!("t{i}"), "k"], &[&format!("t{}", i + 1)], &[])));
    nodes.extend((0..50_000).map(|i| node("Add", &["t0", "t9000"], &[&format!("s{i}")], &[])));
    nodes.push(node("Relu", &["s49999"], &["y"], &[]));
    refuse("sums over a tower", &model(&nodes, &[k.clone(), constant("w", &[3, 3], 9)]), "not many times");
    let mut nodes: Vec<Vec<u8>> = vec![node("Mul", &["x", "k"], &["t0"], &[])];
    nodes.extend((0..20_000).map(|i| node("Mul", &[&format!("t{i}"), "k"], &[&format!("t{}", i + 1)], &[])));
    nodes.push(node("Identity", &["t20000"], &["y"], &[]));
    refuse("a high tower", &model(&nodes, std::slice::from_ref(&k)), "at most 10000");
    // Sums inside sums.
    let mut nodes: Vec<Vec<u8>> = vec![node("MatMul", &["x", "w"], &["t0"], &[])];
    nodes.extend((0..1000).flat_map(|i| {
        let (own, scaled, next) = (format!("t{i}"), format!("u{i}"), format!("t{}", i + 1));
        [node("Mul", &[&own, "k"], &[&scaled], &[]), node("Add", &["t0", &scaled], &[&next], &[])]
    }));
    nodes.push(node("Identity", &["t1000"], &["y"], &[]));
    refuse("sums inside sums", &model(&nodes, &[k.clone(), constant("w", &[3, 3], 9)]), "inside each other");

    // Shapes that nothing fits, each looked at in all ways.
    let ones =
        ["a", "b"].map(|name| node("Unsqueeze", &["x"], &[name], &[[text(1, b"axes"), int(8, 0), int(8, 1)].concat()]));
    let shape = [text(1, b"shape"), int(8, 1), int(8, 1), int(8, 1), int(8, 1), int(8, 99)].concat();
    let mut nodes = ones.to_vec();
    nodes.extend((0..50_000).map(|i| node("Reshape", &["a"], &[&format!("r{i}")], std::slice::from_ref(&shape))));
    nodes.push(node("MatMul", &["r9", "w"], &["y"], &[]));
    refuse("shapes that do not fit", &model(&nodes, &[constant("w", &[3, 3], 9)]), "(MatMul)");

    // One large weight in many layers.
    let mut nodes: Vec<Vec<u8>> = vec![node("MatMul", &["x", "w"], &["t0"], &[])];
    nodes.extend((0..2000).map(|i| node("MatMul", &[&format!("t{i}"), "v"], &[&format!("t{}", i + 1)], &[])));
    nodes.push(node("Identity", &["t2000"], &["y"], &[]));
    let weights = [constant("w", &[3, 300], 900), constant("v", &[300, 300], 90_000)];
    refuse("one weight in many layers", &model(&nodes, &weights), "not many times");
}

#[test]
fn names_that_are_no_text() {
    let whole = bytes("hand-lstm-zeros");
    let at = whole.windows(4).position(|four| four == b"LSTM").unwrap();
    let mut file = whole.clone();
    file[at] = 0xff;
    let error = onnx::read::<f32>(&file).map(|_| ()).expect_err("UTF-8").to_string();
    assert!(error.contains("UTF-8"), "{error}");
}
