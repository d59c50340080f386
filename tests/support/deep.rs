//! What takes long is tested in part by `cargo test`, and in full by `ci/deep`.

/// The whole where `DEEP_RNN_DEEP` is set, else the part.
pub(crate) fn deep<T>(whole: T, part: T) -> T {
    if std::env::var_os("DEEP_RNN_DEEP").is_some() { whole } else { part }
}
