//! The list of tuple sizes (1 to 8) that stacks and chains come in.

/// Calls `$macro!` with `A 0`, then `A 0, B 1`, and so on: a type name and an index for each element.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_tuple {
    ($macro:ident) => {
        $macro!(A 0);
        $macro!(A 0, B 1);
        $macro!(A 0, B 1, C 2);
        $macro!(A 0, B 1, C 2, D 3);
        $macro!(A 0, B 1, C 2, D 3, E 4);
        $macro!(A 0, B 1, C 2, D 3, E 4, G 5);
        $macro!(A 0, B 1, C 2, D 3, E 4, G 5, H 6);
        $macro!(A 0, B 1, C 2, D 3, E 4, G 5, H 6, I 7);
    };
}
