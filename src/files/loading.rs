//! A network from a safetensors file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::path::Path;

use ndarray::{ArrayD, IxDyn};

use super::json;
use super::names::{Leaf, Place, leaves, places};
use super::renames::Renames;
use super::saving::{Header, KEY, VERSION};
use super::source::Source;
use super::tensors::{Entry, Tensors};
use crate::layers::Kinds;
use crate::{Describe, Error, Float, Init, LanguageModel, Network, Params, Recurrent};

/// How a network is read: [`Network::load`](crate::Network::load) and [`load_into`](super::load_into) with options.
///
/// ```no_run
/// use deep_rnn::prelude::*;
/// use deep_rnn::files::Loading;
///
/// // What fits of a file whose names begin with `model.`; the rest stays as it was.
/// let mut net = Network::<f32>::builder(28).lstm(256).lstm(256).linear(28).build()?;
/// let report = Loading::new().rename("model.", "").lenient().load_into(&mut net, "other.safetensors")?;
/// println!("not in the file: {}", report.missing.join(", "));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loading<F> {
    pub(super) kinds: Kinds<F>,
    lenient: bool,
    any_numbers: bool,
    renames: Renames,
}

/// What did not fit, by the names of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// Arrays of the network that are not in the file.
    pub missing: Vec<String>,
    /// Tensors of the file that the network has no array for.
    pub unexpected: Vec<String>,
    /// Tensors of another shape than the network's array: name, shape there, shape in the file.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Layers that are others in the file, as it says: theirs and the network's.
    pub different: Vec<(String, String)>,
}

impl<F: Float> Default for Loading<F> {
    fn default() -> Self {
        Loading::new()
    }
}

impl<F: Float> Loading<F> {
    /// All arrays, each of its shape, nothing else in the file, all numbers finite.
    #[must_use]
    pub fn new() -> Self {
        Loading { kinds: Kinds::new(), lenient: false, any_numbers: false, renames: Renames::default() }
    }

    /// Kinds of layers besides this crate's.
    #[must_use]
    pub fn kinds(mut self, kinds: Kinds<F>) -> Self {
        self.kinds = kinds;
        self
    }

    /// Takes what fits; the report says what does not.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Takes NaN and infinite numbers too.
    #[must_use]
    pub fn allow_not_finite(mut self) -> Self {
        self.any_numbers = true;
        self
    }

    /// Reads names that begin with `from` as if they began with `to`. Of several the first that fits is taken.
    #[must_use]
    pub fn rename(mut self, from: &str, to: &str) -> Self {
        self.renames.push(from, to);
        self
    }

    pub(super) fn says_what_it_is(&self, path: &Path) -> Result<bool, Error> {
        Ok(Tensors::open(path)?.metadata(KEY).is_some())
    }

    pub(super) fn renamed(&self, more: &Renames) -> Self {
        Loading { renames: more.and(&self.renames), ..self.clone() }
    }

    /// The network in a file that says what it is, as [`save`](super::save) writes it.
    ///
    /// # Errors
    /// If the file can't be read, is none of that format, was written by a later version, has a layer of an unknown kind, or its tensors
    /// do not fit what it says.
    #[inline(never)]
    pub fn network(&self, path: impl AsRef<Path>) -> Result<Network<F>, Error> {
        let path = path.as_ref();
        let network = self.load(Tensors::open(path)?, |about, init| self.kinds.network_from(about, init));
        network.map_err(|error| error.in_file(path))
    }

    /// As [`network`](Loading::network), of the bytes of a file: say those that a program has in it, by `include_bytes!`.
    ///
    /// # Errors
    /// As [`network`](Loading::network).
    #[inline(never)]
    pub fn network_from_bytes(&self, bytes: &[u8]) -> Result<Network<F>, Error> {
        self.load(Tensors::of(Source::of(bytes))?, |about, init| self.kinds.network_from(about, init))
    }

    /// The language model in a file that says what it is.
    ///
    /// # Errors
    /// As [`network`](Loading::network), and if it is no language model.
    #[inline(never)]
    pub fn language_model(&self, path: impl AsRef<Path>) -> Result<LanguageModel<Network<F>>, Error> {
        let path = path.as_ref();
        let model = self.load(Tensors::open(path)?, |about, init| self.kinds.language_model_from(about, init));
        model.map_err(|error| error.in_file(path))
    }

    fn load<N: Recurrent<Elem = F> + Params, R: Read + Seek>(
        &self,
        tensors: Tensors<R>,
        build: impl FnOnce(&Describe, &mut Init) -> Result<N, Error>,
    ) -> Result<N, Error> {
        let Some(about) = description(&tensors)? else {
            let expected =
                format!("a file with metadata {KEY:?} (of others say what they are: Network::from_torch, load_into)");
            return Err(Error::value("description", expected, "none"));
        };
        check_sizes(&about, tensors.numbers())?;
        let mut net = build(&about, &mut Init::blank(tensors.numbers()))?;
        self.fill(&mut net, tensors, &|name| Some(name.to_string()))?;
        Ok(net)
    }

    /// Reads the numbers of a network that is there, of whatever type: a network, a stack, a cell, a language model. If the file says
    /// what it is, its layers must be those of the network.
    ///
    /// # Errors
    /// If the file can't be read or, unless [lenient](Loading::lenient), does not fit. The network is as it was then.
    #[inline(never)]
    pub fn load_into<N: Recurrent<Elem = F> + Params>(
        &self,
        net: &mut N,
        path: impl AsRef<Path>,
    ) -> Result<Loaded, Error> {
        let path = path.as_ref();
        let tensors = Tensors::open(path)?;
        let within = |error: Error| error.in_file(path);
        let about = description(&tensors).map_err(within)?;
        let different = about.map(|about| different(&about, &net.describe())).unwrap_or_default();
        if let Some((theirs, ours)) = different.first().filter(|_| !self.lenient) {
            return Err(within(Error::value("layer", ours, theirs)));
        }
        let mut filled = net.clone();
        let report = self.fill(&mut filled, tensors, &|name| Some(name.to_string())).map_err(within)?;
        *net = filled;
        Ok(Loaded { different, ..report })
    }

    /// Fills a network, whose names in our files become others by `named`.
    #[inline(never)]
    pub(super) fn fill<N: Recurrent<Elem = F> + Params, R: Read + Seek>(
        &self,
        net: &mut N,
        tensors: Tensors<R>,
        named: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, Error> {
        let (plan, report) = self.plan(net, tensors.entries(), named);
        if !self.lenient {
            report.refuse()?;
        }
        let mut numbers: BTreeMap<String, Vec<F>> = BTreeMap::new();
        let wanted: BTreeSet<&str> = plan.iter().flat_map(Planned::names).collect();
        tensors.read(
            |name| wanted.contains(name),
            |name, read: Vec<F>| {
                let bad = read.iter().find(|x| !x.is_finite());
                if let Some(bad) = bad.filter(|_| !self.any_numbers) {
                    let expected = format!("finite numbers in {} (others on request)", F::NAME);
                    return Err(Error::value(format!("tensor {name:?}"), expected, bad));
                }
                numbers.insert(name.to_string(), read);
                Ok(())
            },
        )?;
        let mut plan = plan.into_iter().map(|planned| (planned.place.own.clone(), planned)).collect::<BTreeMap<_, _>>();
        let mut result = Ok(());
        net.visit_mut(&mut |own, mut to| {
            let Some(planned) = plan.remove(own) else { return };
            match planned.array(&mut numbers) {
                Ok(array) if planned.place.transposed => to.assign(&array.reversed_axes()),
                Ok(array) => to.assign(&array),
                Err(error) => result = Err(error),
            }
        });
        result.map(|()| report)
    }

    /// Which array is to come from which tensor.
    fn plan<N: Recurrent<Elem = F> + Params>(
        &self,
        net: &N,
        entries: &BTreeMap<String, Entry>,
        named: &dyn Fn(&str) -> Option<String>,
    ) -> (Vec<Planned>, Loaded) {
        // By the name that is to be read, the one that is there.
        let there: BTreeMap<String, &String> = entries.keys().map(|name| (self.renames.read(name), name)).collect();
        let (mut plan, mut report, mut taken) = (Vec::new(), Loaded::default(), BTreeSet::new());
        for place in places(net) {
            let find = |name: &str| named(name).and_then(|name| there.get(&name).copied());
            let second = place.second.as_deref().and_then(find);
            let Some(name) = find(&place.file) else {
                report.missing.push(named(&place.file).unwrap_or(place.file));
                continue;
            };
            for name in [Some(name), second].into_iter().flatten() {
                taken.insert(name.clone());
                let shape = &entries[name].shape;
                if *shape != place.shape {
                    report.misshapen.push((name.clone(), place.shape.clone(), shape.clone()));
                }
            }
            if report.misshapen.last().is_none_or(|(last, ..)| last != name && Some(last) != second) {
                plan.push(Planned { first: name.clone(), second: second.cloned(), place });
            }
        }
        report.unexpected = entries.keys().filter(|name| !taken.contains(*name)).cloned().collect();
        (plan, report)
    }
}

/// An array and what it comes from.
struct Planned {
    place: Place,
    first: String,
    second: Option<String>,
}

impl Planned {
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.first.as_str()).chain(self.second.as_deref())
    }

    fn array<F: Float>(&self, numbers: &mut BTreeMap<String, Vec<F>>) -> Result<ArrayD<F>, Error> {
        let mut all = numbers.remove(&self.first).unwrap_or_default();
        let second = self.second.as_ref().and_then(|name| numbers.remove(name));
        // Added only where there is something, so that -0 stays.
        if let Some(second) = second.filter(|second| second.iter().any(|x| *x != F::from_f64(0.0))) {
            all.iter_mut().zip(second).for_each(|(x, y)| *x += y);
        }
        let len = all.len();
        ArrayD::from_shape_vec(IxDyn(&self.place.shape), all)
            .map_err(|_| Error::value(format!("tensor {:?}", self.first), format!("{:?}", self.place.shape), len))
    }
}

impl Loaded {
    /// Whether everything fitted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self == Loaded::default()
    }

    fn refuse(&self) -> Result<(), Error> {
        if let Some((name, expected, got)) = self.misshapen.first() {
            return Err(Error::shape(format!("tensor {name:?}"), format!("{expected:?}"), got));
        }
        let listed = |names: &[String]| {
            let more = names.len().saturating_sub(8);
            let shown = names[..names.len() - more].join(", ");
            if more > 0 { format!("{shown} and {more} more") } else { shown }
        };
        match (&self.missing[..], &self.unexpected[..]) {
            ([], []) => Ok(()),
            ([], names) => Err(Error::value("tensors", "those of the network and no others", listed(names))),
            (names, []) => Err(Error::value("tensors", format!("also {}", listed(names)), "none of these names")),
            (missing, others) => {
                Err(Error::value("tensors", listed(missing), format!("in their place {}", listed(others))))
            }
        }
    }
}

/// What a file says it is, if it does.
fn description<R: Read + Seek>(tensors: &Tensors<R>) -> Result<Option<Describe>, Error> {
    let Some(text) = tensors.metadata(KEY) else { return Ok(None) };
    // The version first, as nobody knows what else a later one has.
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let within = |error: Error| error.within("description");
    let Version { version } = json::parse(text.as_bytes()).map_err(within)?;
    if version != VERSION {
        return Err(Error::value("version of the description", format!("{VERSION}"), version));
    }
    let header: Header = json::parse(text.as_bytes()).map_err(within)?;
    Ok(Some(header.network))
}

/// Refuses sizes that no file of so many numbers can have.
fn check_sizes(about: &Describe, numbers: usize) -> Result<(), Error> {
    // A layer without arrays may be wider than the file is long, but not by much.
    let most = numbers.max(1 << 20);
    let (inputs, outputs) = about.sizes.unwrap_or_default();
    let counts = about.settings.iter().filter_map(|(name, _)| about.count(name).ok().flatten());
    if let Some(size) = [inputs, outputs].into_iter().chain(counts).find(|size| *size > most) {
        let expected = format!("at most {most}, of a file of {numbers} numbers");
        return Err(Error::value(format!("sizes of {}", about.kind), expected, size));
    }
    about.inner.iter().try_for_each(|(_, inner)| check_sizes(inner, numbers))
}

/// Layers with arrays that are others in a file than in the network.
fn different(file: &Describe, net: &Describe) -> Vec<(String, String)> {
    // A description from a file does not have the names of what is inside.
    fn named(about: &Describe, like: &Describe) -> Describe {
        let mut about = about.clone();
        for ((name, inner), (own, like)) in about.inner.iter_mut().zip(&like.inner) {
            *inner = named(inner, like);
            name.clone_from(own);
        }
        about
    }
    let file = named(file, net);
    let (theirs, ours) = (leaves(&file), leaves(net));
    let same = |a: &Leaf<'_>, b: &Leaf<'_>| {
        let set = |about: &Describe| {
            let mut all = about.settings.clone();
            all.retain(|(name, _)| !matches!(name.as_str(), "rate" | "locked" | "word_dropout" | "bias"));
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        a.about.kind == b.about.kind && set(a.about) == set(b.about)
    };
    let show = |leaf: &Leaf<'_>| format!("{}{}", leaf.own, leaf.about);
    let of_same_place = |leaf: &Leaf<'_>| ours.iter().find(|own| own.own == leaf.own && own.about.inner.is_empty());
    // What is in one of the two alone is seen by its arrays.
    let both = theirs.iter().filter(|leaf| leaf.about.inner.is_empty());
    let both = both.filter_map(|leaf| Some((leaf, of_same_place(leaf)?)));
    both.filter(|(a, b)| !same(a, b)).map(|(a, b)| (show(a), show(b))).collect()
}
