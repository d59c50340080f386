//! Messages of ONNX byte by byte, for files that no library would write.

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field of bytes.
pub(crate) fn text(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field of a whole number.
pub(crate) fn int(tag: u64, number: u64) -> Vec<u8> {
    [varint(tag << 3), varint(number)].concat()
}

/// A node with these attributes.
pub(crate) fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut all: Vec<u8> = inputs.iter().flat_map(|name| text(1, name.as_bytes())).collect();
    all.extend(outputs.iter().flat_map(|name| text(2, name.as_bytes())));
    all.extend(text(4, op.as_bytes()));
    all.extend(attributes.iter().flat_map(|attribute| text(5, attribute)));
    all
}

/// Two along an axis.
pub(crate) fn cat(a: &str, b: &str, output: &str, axis: u64) -> Vec<u8> {
    node("Concat", &[a, b], &[output], &[[text(1, b"axis"), int(3, axis)].concat()])
}

/// So many `f32` ones of this shape.
pub(crate) fn constant(name: &str, dims: &[u64], count: usize) -> Vec<u8> {
    let mut all: Vec<u8> = dims.iter().flat_map(|dim| int(1, *dim)).collect();
    all.extend(int(2, 1));
    all.extend(text(8, name.as_bytes()));
    all.extend(text(9, &1.0_f32.to_le_bytes().repeat(count)));
    all
}

/// A model of opset 12 from `x [T, B, 3]` to `y`.
pub(crate) fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    let dims = [text(1, &text(2, b"T")), text(1, &text(2, b"B")), text(1, &int(1, 3))].concat();
    let of_x = text(1, &[int(1, 1), text(2, &dims)].concat());
    let mut graph: Vec<u8> = nodes.iter().flat_map(|node| text(1, node)).collect();
    graph.extend(constants.iter().flat_map(|constant| text(5, constant)));
    graph.extend(text(11, &[text(1, b"x"), text(2, &of_x)].concat()));
    graph.extend(text(12, &text(1, b"y")));
    [int(1, 8), text(8, &[text(1, b""), int(2, 12)].concat()), text(7, &graph)].concat()
}
