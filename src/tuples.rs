//! The list of tuple sizes that states and parameters come in.

/// Calls `$macro!` with `A 0`, then `A 0, B 1`, and so on to 4: a type name and an index for each element.
macro_rules! for_each_tuple {
    ($macro:ident) => {
        $macro!(A 0);
        $macro!(A 0, B 1);
        $macro!(A 0, B 1, C 2);
        $macro!(A 0, B 1, C 2, D 3);
    };
}
pub(crate) use for_each_tuple;
