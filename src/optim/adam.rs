//! Adam (Kingma and Ba 2015).

mod update;

use std::fmt;

use ndarray::Array2;
use num_traits::float::FloatCore;

use super::arrays::{fingerprint, other_arrays, same_arrays};
use super::groups::Groups;
use super::room::{Room, arrays};
use super::walk::walk;
use super::{Optimizer, check_positive, expect_kind};
use crate::part::Part;
use crate::{Error, Float, Params};
use update::Settings;

/// Adam: with m ← β₁m + (1-β₁)g and v ← β₂v + (1-β₂)g², p -= lr·m̂ / (√v̂ + ε), m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).
///
/// With a [weight decay](Adam::weight_decay) λ it is AdamW (Loshchilov and Hutter 2019): p -= lr·λ·p besides.
///
/// Kept are m and r = √v, which is made without squares that leave the range of the numbers: r ← √(β₂r² + (1-β₂)g²) as
/// the long side of a right triangle. So any finite gradient does what the formula says.
///
/// Gradients, m and weights below [`Float::TINY`] count as 0, and r with them where m is 0.
///
/// m and r have the type and the names of the parameters, so that they can be looked at and written to a file as these are
/// ([`mean`](Adam::mean), [`root`](Adam::root)), and given to an optimiser that goes on ([`set_moments`](Adam::set_moments)).
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::Array2;
///
/// let net = || Network::<f32>::builder(6).gru(8).gru(8).linear(6).seed(1).build();
/// let tokens = Array2::from_shape_fn((9, 2), |(t, b)| (t * t + b) % 6);
/// // The lowest layer stays as it is, the head learns at three times the rate of the one between.
/// let adam = || Adam::new(1e-3).freeze("0").group("2", 3.0);
/// let mut bptt = Bptt::builder(net()?).optimizer(adam()).build()?;
/// bptt.train(&tokens, &tokens)?;
/// net()?.zip_mut(bptt.model(), &mut |name, before, after| {
///     assert_eq!(before == after, name.starts_with("0."), "{name}");
/// });
///
/// // What goes on elsewhere: the model, and an optimiser that has seen as much.
/// let (now, mut later) = (bptt.optimizer(), adam());
/// if let (Some(mean), Some(root)) = (now.mean(), now.root()) {
///     later.set_moments(now.steps(), mean.clone(), root.clone())?;
/// }
/// let mut later = Bptt::builder(bptt.model().clone()).optimizer(later).build()?;
/// bptt.reset_state();
/// for _ in 0..3 {
///     assert_eq!(bptt.train(&tokens, &tokens)?.loss(), later.train(&tokens, &tokens)?.loss());
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Adam<P: Params> {
    settings: Settings,
    groups: Groups,
    steps: u64,
    /// From the first update on.
    moments: Option<Moments<P>>,
    room: Room<P::Elem, 2>,
}

/// m and r of every parameter.
#[derive(Clone)]
struct Moments<P> {
    mean: P,
    root: P,
    /// Of their arrays.
    fingerprint: u64,
}

impl<P: Params> Adam<P> {
    /// With this learning rate, β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        let settings = Settings { lr, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 };
        Adam { settings, groups: Groups::default(), steps: 0, moments: None, room: Room::new() }
    }

    /// The learning rate.
    #[must_use]
    pub fn lr(&self) -> f64 {
        self.settings.lr
    }

    /// Another learning rate, from the next update on.
    pub fn set_lr(&mut self, lr: f64) {
        self.settings.lr = lr;
    }

    /// β₁ and β₂, each from 0 to below 1.
    #[must_use]
    pub fn betas(mut self, beta_1: f64, beta_2: f64) -> Self {
        self.settings.betas = (beta_1, beta_2);
        self
    }

    /// ε, above 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.settings.epsilon = epsilon;
        self
    }

    /// λ, from 0 on; 0 if not said. Each update takes lr·λ of every number off, beside what the gradients say, so it is not divided by √v̂
    /// as a penalty in the loss would be. Of a [group](Adam::group) lr is that group's. lr·λ may not be above 1.
    #[must_use]
    pub fn weight_decay(mut self, lambda: f64) -> Self {
        self.settings.weight_decay = lambda;
        self
    }

    /// Multiplies the learning rate of some arrays by `factor`: of those whose name is `prefix` or begins with it and a dot. So
    /// `net.1` are all arrays of that layer, and none of `net.10`. Where several groups have an array the longest prefix
    /// counts; one that is given again replaces the one before.
    ///
    /// A group without an array, a factor that is negative or not finite, and one that takes the rate out of the range of the
    /// numbers are refused when an engine is built, and by every update.
    #[must_use]
    pub fn group(mut self, prefix: &str, factor: f64) -> Self {
        self.set_group(prefix, factor);
        self
    }

    /// Leaves some arrays as they are, with their m and r, to the bit: a [group](Adam::group) of factor 0. In an engine their
    /// gradients are 0, so they count neither in the norm nor in the clip; gradients given to a step are not looked at. Memory
    /// for their m and r is held all the same.
    ///
    /// What is frozen may move again later ([`set_group`](Adam::set_group)). Its m and r are then those it had, 0 where it has
    /// never moved, while t has gone on: with the usual β the first steps are up to (1-β₁)/√(1-β₂) = 3.2 times the rate, so let
    /// its factor begin lower.
    #[must_use]
    pub fn freeze(self, prefix: &str) -> Self {
        self.group(prefix, 0.0)
    }

    /// Another factor for a group, or a new group, from the next update on.
    pub fn set_group(&mut self, prefix: &str, factor: f64) {
        self.groups.set(prefix, factor);
    }

    /// What the learning rate of the array of this name is multiplied by: 1 outside all groups, 0 where it is frozen.
    #[must_use]
    pub fn factor(&self, name: &str) -> f64 {
        self.groups.factor(name)
    }

    /// t, the updates made so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// m, the mean of the gradients, under the names of the parameters; none before the first update.
    #[must_use]
    pub fn mean(&self) -> Option<&P> {
        self.moments.as_ref().map(|moments| &moments.mean)
    }

    /// r = √v, the root of the mean of the squared gradients, under the names of the parameters; none before the first update.
    /// Who needs v itself, as other libraries keep it, squares the numbers, in `f64` those of an `f32`.
    #[must_use]
    pub fn root(&self) -> Option<&P> {
        self.moments.as_ref().map(|moments| &moments.root)
    }

    /// Goes on from m and r = √v after so many updates, as [`steps`](Adam::steps), [`mean`](Adam::mean) and
    /// [`root`](Adam::root) tell them: what follows is the same bits as if it had never been stopped. Settings and groups are
    /// not in them.
    ///
    /// Moments of other arrays than the parameters' are refused when an engine is built, and by every update.
    ///
    /// # Errors
    /// If `steps` is 0, a number is not finite or one of r is below 0, or m and r have different arrays. Nothing is changed then.
    pub fn set_moments(&mut self, steps: u64, mean: P, root: P) -> Result<(), Error> {
        if steps == 0 {
            let expected = "at least 1, since moments come of updates (for none made, a new Adam)";
            return Err(Error::value("steps", expected, steps));
        }
        let fingerprint = fingerprint(&mean);
        if same_arrays(&mean, &root).is_err() {
            return Err(other_arrays("root", "the arrays of the mean", &mean, &root));
        }
        check_numbers("mean", &mean, "finite numbers", FloatCore::is_finite)?;
        check_numbers("root", &root, "finite numbers from 0 on (√v, not v)", |x| {
            FloatCore::is_finite(x) && x >= num_traits::zero()
        })?;
        (self.steps, self.moments) = (steps, Some(Moments { mean, root, fingerprint }));
        Ok(())
    }
}

/// Refuses a value with a number that is not `good`.
fn check_numbers<P: Params>(
    argument: &str,
    value: &P,
    expected: &str,
    good: impl Fn(P::Elem) -> bool,
) -> Result<(), Error> {
    let mut result = Ok(());
    value.visit(&mut |name, array| {
        let bad = array.iter().find(|x| !good(**x)).filter(|_| result.is_ok());
        if let Some(bad) = bad {
            result = Err(Error::value(argument, expected, format!("{bad} in {name:?}")));
        }
    });
    result
}

impl<P: Params> fmt::Debug for Adam<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { lr, betas, epsilon, weight_decay } = &self.settings;
        let moments = self.mean().map_or(0, |mean| 2 * mean.num_params());
        let mut f = f.debug_struct("Adam");
        f.field("lr", lr).field("betas", betas).field("epsilon", epsilon);
        f.field("weight_decay", weight_decay).field("groups", &self.groups);
        f.field("steps", &self.steps).field("moments", &moments).finish_non_exhaustive()
    }
}

impl<P: Params> Adam<P> {
    fn check_settings(&self, params: &P) -> Result<(), Error> {
        let Settings { betas, epsilon, .. } = self.settings;
        for beta in [betas.0, betas.1] {
            let rounded = P::Elem::from_f64(beta).as_f64();
            if !(0.0..1.0).contains(&beta) || !(0.0..1.0).contains(&rounded) {
                let expected = format!("numbers from 0 to below 1 in {}", P::Elem::NAME);
                return Err(Error::value("betas", expected, beta));
            }
        }
        check_positive::<P::Elem>("epsilon", epsilon)?;
        let decay = self.settings.weight_decay;
        if !(decay >= 0.0 && decay.is_finite()) {
            return Err(Error::value("weight_decay", "a finite number from 0 on", decay));
        }
        self.groups.check(params, |name, factor| self.settings.check_rate::<P::Elem>(name, factor))
    }

    /// Refuses parameters with other arrays than the moments'.
    fn check_moments(&self, params: &P, fingerprint: u64) -> Result<(), Error> {
        match self.moments.as_ref().filter(|moments| moments.fingerprint != fingerprint) {
            None => Ok(()),
            Some(Moments { mean, .. }) => {
                Err(other_arrays("params", "the arrays of Adam's moments (for others, a new Adam)", mean, params))
            }
        }
    }
}

impl<P: Params> Optimizer<P> for Adam<P> {
    fn check(&self, params: &P) -> Result<(), Error> {
        self.check_settings(params)?;
        self.check_moments(params, fingerprint(params))
    }

    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
        self.check_settings(params)?;
        let fingerprint = same_arrays(params, grads)?;
        self.check_moments(params, fingerprint)?;
        let Adam { settings, groups, steps, moments, room } = self;
        let next = steps.saturating_add(1);
        let is_first = moments.is_none();
        let zeros = || Moments { mean: params.zeros_like(), root: params.zeros_like(), fingerprint };
        let Moments { mean, root, .. } = moments.get_or_insert_with(zeros);
        let plain = settings.update(next, 1.0);
        let updated = walk(params, grads, [mean, root], room, &|name| match groups.factor(name) {
            0.0 => None,
            1.0 => Some(plain),
            factor => Some(settings.update(next, factor)),
        });
        match updated {
            Ok(()) => *steps = next,
            Err(_) if is_first => *moments = None,
            Err(_) => {}
        }
        updated
    }

    fn save(&self, part: &mut Part) -> Result<(), Error> {
        let Settings { lr, betas, epsilon, weight_decay } = self.settings;
        part.set("kind", "Adam");
        let moments = [("beta 1", betas.0), ("beta 2", betas.1), ("epsilon", epsilon)];
        for (name, value) in [("lr", lr), ("weight decay", weight_decay)].into_iter().chain(moments) {
            part.set(name, value);
        }
        self.groups.save(part);
        part.set("steps", self.steps);
        part.set("moments", self.moments.is_some());
        if let Some(Moments { mean, root, .. }) = &self.moments {
            part.set_params("mean", mean);
            part.set_params("root", root);
        }
        Ok(())
    }

    fn restore(&mut self, params: &P, part: &Part) -> Result<(), Error> {
        expect_kind("Adam", part)?;
        let (lr, betas) = (part.get("lr")?, (part.get("beta 1")?, part.get("beta 2")?));
        let (epsilon, weight_decay) = (part.get("epsilon")?, part.get("weight decay")?);
        let settings = Settings { lr, betas, epsilon, weight_decay };
        let (groups, steps) = (Groups::restored(part)?, part.get("steps")?);
        let mut adam = Adam { settings, groups, steps: 0, moments: None, room: Room::new() };
        if part.get("moments")? {
            let (mut mean, mut root) = (params.zeros_like(), params.zeros_like());
            part.fill_params("mean", &mut mean)?;
            part.fill_params("root", &mut root)?;
            adam.set_moments(steps, mean, root)?;
        }
        adam.check(params)?;
        *self = adam;
        Ok(())
    }

    fn is_frozen(&self, name: &str) -> bool {
        self.groups.freezes(name)
    }

    fn memory(&self, params: &P) -> usize {
        let arrays = arrays(params);
        // Numbers, the objects that hold them, and the views of the walk.
        let numbers = params.num_params().saturating_mul(size_of::<[P::Elem; 2]>());
        let objects = arrays.saturating_mul(size_of::<[Array2<P::Elem>; 2]>());
        numbers.saturating_add(objects).saturating_add(Room::<P::Elem, 2>::bytes(arrays))
    }
}
