//! Arrays that learn faster or slower than the rest, or not at all, told by the beginning of their names.

use std::fmt;

use crate::part::Part;
use crate::{Error, Params};

/// How many arrays an error lists.
const LISTED: usize = 12;

/// Factors of the learning rate by the beginning of names, in whole parts: `net.1` is the beginning of `net.1` and `net.1.w_x`,
/// not of `net.10.w_x`. The longest that fits counts; 0 freezes.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Groups(Vec<(String, f64)>);

impl Groups {
    /// Another factor for a group there is, or a new group.
    pub(super) fn set(&mut self, prefix: &str, factor: f64) {
        match self.0.iter_mut().find(|(known, _)| known == prefix) {
            Some((_, known)) => *known = factor,
            None => self.0.push((prefix.to_string(), factor)),
        }
    }

    pub(super) fn save(&self, part: &mut Part) {
        part.set("groups", self.0.len());
        for (i, (prefix, factor)) in self.0.iter().enumerate() {
            part.set(&format!("group {i}"), prefix);
            part.set(&format!("factor {i}"), factor);
        }
    }

    pub(super) fn restored(part: &Part) -> Result<Self, Error> {
        let count: usize = part.get("groups")?;
        let group = |i: usize| Ok((part.get(&format!("group {i}"))?, part.get(&format!("factor {i}"))?));
        Ok(Groups((0..count).map(group).collect::<Result<_, Error>>()?))
    }

    /// What the learning rate of this array is multiplied by; 1 outside all groups.
    pub(super) fn factor(&self, name: &str) -> f64 {
        let fitting = self.0.iter().filter(|(prefix, _)| begins(name, prefix));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(1.0, |(_, factor)| *factor)
    }

    /// Whether this array is left as it is.
    pub(super) fn freezes(&self, name: &str) -> bool {
        self.factor(name) == 0.0
    }

    /// Refuses factors that cannot be, those whose rate `check_rate` refuses, and groups without an array.
    pub(super) fn check<P: Params>(
        &self,
        params: &P,
        check_rate: impl Fn(&str, f64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        check_rate("lr", 1.0)?;
        for (prefix, factor) in &self.0 {
            let within = |error: Error| error.within(format_args!("group {prefix:?}"));
            if !(0.0..f64::INFINITY).contains(factor) {
                return Err(within(Error::value("factor", "a finite number, 0 (frozen) or above", factor)));
            }
            if *factor > 0.0 {
                check_rate("lr times the factor", *factor).map_err(within)?;
            }
            let mut found = false;
            params.visit(&mut |name, _| found |= begins(name, prefix));
            if !found {
                return Err(nothing_in(prefix, params));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(prefix, factor)| (prefix, factor))).finish()
    }
}

fn begins(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn nothing_in<P: Params>(prefix: &str, params: &P) -> Error {
    let (mut names, mut more) = (Vec::new(), 0);
    params.visit(&mut |name, _| {
        if names.len() < LISTED {
            names.push(name.to_string());
        } else {
            more += 1;
        }
    });
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let expected = format!("the name of an array or its beginning up to a dot, of {}", names.join(", "));
    Error::value("group", expected, format!("{prefix:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_in_whole_parts_counts() {
        let mut groups = Groups::default();
        for (prefix, factor) in [("net", 2.0), ("net.1", 3.0), ("net.1.b", 0.0), ("head.w", 5.0)] {
            groups.set(prefix, factor);
        }
        let factors = [
            ("net.0.w_x", 2.0),
            ("net.1.w_x", 3.0),
            ("net.1", 3.0),
            ("net.10.w_x", 2.0),
            ("net.1.b", 0.0),
            ("net.1.b_h", 3.0),
            ("network", 1.0),
            ("head.w", 5.0),
            ("head.b", 1.0),
            ("", 1.0),
        ];
        for (name, factor) in factors {
            assert_eq!((groups.factor(name), groups.freezes(name)), (factor, factor == 0.0), "{name}");
        }
        groups.set("net", 0.0);
        groups.set("net", 7.0);
        assert_eq!((groups.factor("net.0.b"), groups.0.len()), (7.0, 4));
    }
}
