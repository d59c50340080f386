//! Whether two values have the same arrays: names and shapes, in the order of the walk.

use crate::{Error, Params};

/// A number that stands for the names and shapes of all arrays (FNV-1a, 64 bits). It is made without memory, unlike a list.
pub(super) fn fingerprint<P: Params>(params: &P) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut add = |number: u64| hash = (hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
    params.visit(&mut |name, array| {
        name.bytes().for_each(|byte| add(u64::from(byte)));
        // No byte of a name: names and shapes are kept apart.
        add(256 + array.ndim() as u64);
        array.shape().iter().for_each(|length| add(*length as u64));
    });
    hash
}

/// The first array in which two values differ, by name and shape, as it is in each; none where they have the same arrays.
pub(crate) fn difference<P: Params>(one: &P, other: &P) -> Option<[String; 2]> {
    let list = |params: &P| {
        let mut list = Vec::new();
        params.visit(&mut |name, array| list.push(format!("{name} {:?}", array.shape()).trim_start().to_string()));
        list
    };
    let lists = [list(one), list(other)];
    let same = lists[0].iter().zip(&lists[1]).take_while(|(one, other)| one == other).count();
    let at = |list: &Vec<String>| list.get(same).cloned();
    let differ = lists.each_ref().map(at);
    let absent = || "no such parameter".to_string();
    differ.iter().any(Option::is_some).then(|| differ.map(|array| array.unwrap_or_else(absent)))
}

/// That `got` has other arrays than `expected`, which are `whose`.
pub(super) fn other_arrays<P: Params>(argument: &str, whose: &str, expected: &P, got: &P) -> Error {
    let [expected, got] = difference(expected, got).unwrap_or_default();
    Error::value(argument, format!("{whose}: {expected}"), got)
}

/// Refuses gradients that are of other parameters; tells the fingerprint of both.
pub(crate) fn same_arrays<P: Params>(params: &P, grads: &P) -> Result<u64, Error> {
    let own = fingerprint(params);
    if own == fingerprint(grads) {
        return Ok(own);
    }
    Err(other_arrays("grads", "arrays as the parameters'", params, grads))
}
