//! Relatives of the LSTM: peepholes (Gers and Schmidhuber 2000), coupled gates (Greff et al. 2017), other activations, clips.
//! The way back is derived in `docs/derivations/relatives.md`.
//!
//! Backward, with s for the slope of each activation where it was, and d c̃ = 0 where c̃ is clipped:
//! do = dh'∘h(c');  da_o = do∘s_o;  dc̃ = dc' + dh'∘o∘s_h + da_o∘p_o;  df = dc̃∘c;  di = dc̃∘g (- df, where coupled);
//! da_i = di∘s_i;  da_f = df∘s_f;  da_g = dc̃∘i∘s_g;  dc = dc̃∘f + da_i∘p_i + da_f∘p_f;
//! dp_i = da_i∘c;  dp_f = da_f∘c;  dp_o = da_o∘c'.

use std::fmt::Debug;
use std::marker::PhantomData;

use super::activation::{Activation, check_clip, clipped, describe_clip};
use super::lstm::LstmGates;
use crate::gates::{BLOCK, Lanes, PerUnit, PerUnitGrad, Start, Vector};
use crate::{Describe, Error, Float, GatedSpec};

/// Which gates and peepholes a relative of the LSTM has: [`Plain`], [`Coupled`], [`Peepholes`] or [`CoupledPeepholes`].
pub trait LstmForm: Copy + Debug + Send + Sync + sealed::Form {}

mod sealed {
    use super::*;

    pub trait Form {
        /// i f g o, or i g o where f is coupled.
        type X<F: Float>: Lanes<F>;
        /// p_i p_f p_o, p_i p_o, or none.
        type Weights<F: Float>: Lanes<F>;
        type Coupled: LstmForm;
        type Peepholes: LstmForm;
        const NAME: &'static str;
        const COUPLED: bool;
        const WEIGHTS: &'static [Vector];

        fn split<F: Float>(x: Self::X<F>) -> [F; 4];
        fn join<F: Float>(x: [F; 4]) -> Self::X<F>;
        fn peepholes<F: Float>(weights: Self::Weights<F>) -> [F; 3];
        fn join_peepholes<F: Float>(weights: [F; 3]) -> Self::Weights<F>;
    }
}

macro_rules! form {
    ($(#[$doc:meta])* $form:ident $name:literal, coupled: $is_coupled:literal, with: $coupled:ident $peepholes:ident,
        x: $n:literal $x:pat => $four:expr, $of_four:pat => $join:expr,
        weights: $w:literal [$($weight:literal)*] $p:pat => $three:expr, $of_three:pat => $join_weights:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $form;
        impl LstmForm for $form {}
        impl sealed::Form for $form {
            type X<F: Float> = [F; $n];
            type Weights<F: Float> = [F; $w];
            type Coupled = $coupled;
            type Peepholes = $peepholes;
            const NAME: &'static str = $name;
            const COUPLED: bool = $is_coupled;
            const WEIGHTS: &'static [Vector] = &[$(Vector::new($weight, Start::Scheme)),*];

            #[inline(always)]
            fn split<F: Float>($x: [F; $n]) -> [F; 4] {
                $four
            }
            #[inline(always)]
            fn join<F: Float>($of_four: [F; 4]) -> [F; $n] {
                $join
            }
            #[inline(always)]
            fn peepholes<F: Float>($p: [F; $w]) -> [F; 3] {
                $three
            }
            #[inline(always)]
            fn join_peepholes<F: Float>($of_three: [F; 3]) -> [F; $w] {
                $join_weights
            }
        }
    };
}

form! {
    /// Gates i f g o, as in the LSTM.
    Plain "Lstm", coupled: false, with: Coupled Peepholes,
    x: 4 x => x, x => x,
    weights: 0 [] _ => [F::zero(); 3], _ => []
}
form! {
    /// Gates i g o, with f = 1 - i.
    Coupled "CoupledLstm", coupled: true, with: Coupled CoupledPeepholes,
    x: 3 [i, g, o] => [i, F::zero(), g, o], [i, _, g, o] => [i, g, o],
    weights: 0 [] _ => [F::zero(); 3], _ => []
}
form! {
    /// Gates i f g o, of which i, f and o see the cell state.
    Peepholes "PeepholeLstm", coupled: false, with: CoupledPeepholes Peepholes,
    x: 4 x => x, x => x,
    weights: 3 ["p_i" "p_f" "p_o"] p => p, p => p
}
form! {
    /// Gates i g o, of which i and o see the cell state, with f = 1 - i.
    CoupledPeepholes "CoupledPeepholeLstm", coupled: true, with: CoupledPeepholes CoupledPeepholes,
    x: 3 [i, g, o] => [i, F::zero(), g, o], [i, _, g, o] => [i, g, o],
    weights: 2 ["p_i" "p_o"] [i, o] => [i, F::zero(), o], [i, _, o] => [i, o]
}

/// The gate maths of a relative of [`Lstm`](crate::cells::Lstm), with a = x·w_x + h·w_h + b and c before the step:
///
/// ```text
/// i = f(a_i + p_i∘c)   f = f(a_f + p_f∘c)   g = g(a_g)      c' = f∘c + i∘g      o = f(a_o + p_o∘c')      y = h' = o∘h(c')
/// ```
///
/// It is made from the builder of the plain one:
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::cells::Activation;
///
/// let peepholes = Lstm::<f32>::spec(64).peepholes().projection(16);
/// let coupled = Lstm::<f32>::spec(64).coupled().clip_cell(-3.0, 3.0);
/// let hard = Lstm::<f32>::spec(64).activations(Activation::HARD_SIGMOID, Activation::Tanh, Activation::Tanh);
/// let net = Network::<f32>::builder(8).layer(peepholes).layer(coupled).layer(hard).build()?;
/// assert!(net.to_string().contains("PeepholeLstm"));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// - [`peepholes`](GatedSpec::peepholes): the vectors `p_i`, `p_f`, `p_o`, each `[H]`; without them these terms are not there.
/// - [`coupled`](GatedSpec::coupled): f = 1 - i, and no a_f.
/// - [`activations`](GatedSpec::activations): f, g and h, in the order of ONNX; σ, tanh and tanh without.
/// - [`clip_gates`](GatedSpec::clip_gates): each argument of f and g, bias and peephole in it, within ±this: the attribute `clip` of ONNX, as
///   ONNX Runtime has it (c' is not clipped).
/// - [`clip_cell`](GatedSpec::clip_cell): c' within these bounds, before it is used and kept: `cell_clip` of TensorFlow and
///   `cudnnRNNSetClip` of cuDNN.
/// - [`projection`](GatedSpec::projection) and [`projection_clip`](GatedSpec::projection_clip), as for the plain one.
///
/// No gradient goes back through what is clipped.
///
/// # Parameters
/// As of the plain one, but the gates are i g o where f is coupled; and the peepholes.
/// # Memory
/// A sequence with tape keeps 11·T·B·H + B·H numbers: gates and slopes, h(c'), and c before each step.
#[derive(Clone, Copy, Debug)]
pub struct LstmVariant<K> {
    /// f, g, h.
    activations: [Activation; 3],
    clip_gates: Option<f64>,
    clip_cell: Option<(f64, f64)>,
    /// Why the options do not go together.
    refused: Option<&'static str>,
    form: PhantomData<K>,
}

impl<K> LstmVariant<K> {
    /// f, g and h.
    #[must_use]
    pub fn activations(&self) -> [Activation; 3] {
        self.activations
    }

    fn with_form<L>(self) -> LstmVariant<L> {
        let LstmVariant { activations, clip_gates, clip_cell, refused, .. } = self;
        LstmVariant { activations, clip_gates, clip_cell, refused, form: PhantomData }
    }
}

impl<F: Float> GatedSpec<F, LstmGates> {
    fn variant(self) -> GatedSpec<F, LstmVariant<Plain>> {
        let activations = [Activation::Sigmoid, Activation::Tanh, Activation::Tanh];
        self.with_gates(LstmVariant {
            activations,
            clip_gates: None,
            clip_cell: None,
            refused: None,
            form: PhantomData,
        })
    }
    /// With peepholes: see [`LstmVariant`].
    #[must_use]
    pub fn peepholes(self) -> GatedSpec<F, LstmVariant<Peepholes>> {
        self.variant().peepholes()
    }
    /// With f = 1 - i: see [`LstmVariant`].
    #[must_use]
    pub fn coupled(self) -> GatedSpec<F, LstmVariant<Coupled>> {
        self.variant().coupled()
    }
    /// With other activations: see [`LstmVariant`].
    #[must_use]
    pub fn activations(self, f: Activation, g: Activation, h: Activation) -> GatedSpec<F, LstmVariant<Plain>> {
        self.variant().activations(f, g, h)
    }
    /// With clipped arguments of the gates: see [`LstmVariant`].
    #[must_use]
    pub fn clip_gates(self, clip: f64) -> GatedSpec<F, LstmVariant<Plain>> {
        self.variant().clip_gates(clip)
    }
    /// With a clipped cell state: see [`LstmVariant`].
    #[must_use]
    pub fn clip_cell(self, low: f64, high: f64) -> GatedSpec<F, LstmVariant<Plain>> {
        self.variant().clip_cell(low, high)
    }
}

impl<F: Float, K: LstmForm> GatedSpec<F, LstmVariant<K>> {
    /// With peepholes, which start as biases do.
    #[must_use]
    pub fn peepholes(self) -> GatedSpec<F, LstmVariant<K::Peepholes>> {
        let gates = self.gates().with_form();
        self.with_gates(gates)
    }

    /// With f = 1 - i. Gate number 1 is g then, so starting values of single gates' biases are set after this.
    #[must_use]
    pub fn coupled(self) -> GatedSpec<F, LstmVariant<K::Coupled>> {
        let mut gates = self.gates().with_form::<K::Coupled>();
        if !K::COUPLED && self.has_lane_biases() {
            gates.refused = Some("coupled() before lane_bias() or forget_bias(): there is no gate f, and g is gate 1");
        }
        self.with_gates(gates)
    }

    /// f of the gates, g of what is written, h of what is read: the order of ONNX.
    #[must_use]
    pub fn activations(mut self, f: Activation, g: Activation, h: Activation) -> Self {
        self.gates_mut().activations = [f, g, h];
        self
    }

    /// Clips each argument of f and g, with its bias and peephole, to ±`clip`.
    #[must_use]
    pub fn clip_gates(mut self, clip: f64) -> Self {
        self.gates_mut().clip_gates = Some(clip);
        self
    }

    /// Clips c' to `low` and `high`, before it is used and kept.
    #[must_use]
    pub fn clip_cell(mut self, low: f64, high: f64) -> Self {
        self.gates_mut().clip_cell = Some((low, high));
        self
    }
}

impl<F: Float> GatedSpec<F, LstmVariant<Plain>> {
    /// As of the plain LSTM.
    #[must_use]
    pub fn forget_bias(self, value: f64) -> Self {
        self.lane_bias(1, value)
    }
}

impl<F: Float> GatedSpec<F, LstmVariant<Peepholes>> {
    /// As of the plain LSTM.
    #[must_use]
    pub fn forget_bias(self, value: f64) -> Self {
        self.lane_bias(1, value)
    }
}

impl<K: LstmForm> LstmVariant<K> {
    /// c̃ clipped, and whether it was left as it is.
    #[inline(always)]
    fn cell<F: Float>(&self, c: F) -> (F, bool) {
        match self.clip_cell {
            None => (c, true),
            Some((low, high)) => {
                let (low, high) = (F::from_f64(low), F::from_f64(high));
                (clipped(c, low, high), c > low && c < high)
            }
        }
    }
}

impl<K: LstmForm> PerUnit for LstmVariant<K> {
    type Weights<F: Float> = K::Weights<F>;
    type X<F: Float> = K::X<F>;
    type H<F: Float> = K::X<F>;
    type State<F: Float> = [F; 2];
    /// i f g o, their slopes, h(c') and its slope.
    type Saved<F: Float> = [F; 10];
    const NAME: &'static str = K::NAME;
    const WEIGHTS: &'static [Vector] = K::WEIGHTS;
    const SUMMED: bool = true;
    const PROJECTABLE: bool = true;
    const STEP_AT_ONCE: bool = false;

    fn check<F: Float>(&self) -> Result<(), Error> {
        if let Some(expected) = self.refused {
            return Err(Error::value("coupled", expected, "the other order"));
        }
        self.activations.into_iter().try_for_each(Activation::check::<F>)?;
        check_clip::<F>("clip_gates", self.clip_gates)?;
        if let Some((low, high)) = self.clip_cell {
            let bound = |x: f64| x == 0.0 || F::from_f64(x).is_normal();
            if !(low < high && bound(low) && bound(high)) {
                let expected = format!("two finite bounds in {}, the lower one first", F::NAME);
                return Err(Error::value("clip_cell", expected, format!("{low} and {high}")));
            }
        }
        Ok(())
    }

    fn describe(&self, about: Describe) -> Describe {
        let [f, g, h] = self.activations;
        let usual = matches!((f, g, h), (Activation::Sigmoid, Activation::Tanh, Activation::Tanh));
        let about = if usual { about } else { about.option(format!("{f} {g} {h}")) };
        let about = about.setting("gate_activation", f.to_string()).setting("candidate_activation", g.to_string());
        let about = describe_clip(about.setting("output_activation", h.to_string()), self.clip_gates);
        match self.clip_cell {
            Some((low, high)) => {
                about.option(format!("cell clipped at {low} and {high}")).setting("clip_cell", vec![low, high])
            }
            None => about,
        }
    }

    #[inline(always)]
    fn forward<F: Float>(&self, weights: K::Weights<F>, x: K::X<F>, _: K::X<F>, [_, c]: [F; 2]) -> ([F; 2], [F; 10]) {
        let ([p_i, p_f, p_o], [a_i, a_f, a_g, a_o]) = (K::peepholes(weights), K::split(x));
        let ([of_gates, of_input, of_output], clip) = (self.activations, self.clip_gates);
        let (i, s_i) = of_gates.apply_clipped::<F, false>(a_i + p_i * c, clip);
        let (f, s_f) = if K::COUPLED {
            (F::one() - i, F::zero())
        } else {
            of_gates.apply_clipped::<F, false>(a_f + p_f * c, clip)
        };
        let (g, s_g) = of_input.apply_clipped::<F, false>(a_g, clip);
        let (c, _) = self.cell(f * c + i * g);
        let (o, s_o) = of_gates.apply_clipped::<F, false>(a_o + p_o * c, clip);
        let (t, s_t) = of_output.apply(c);
        ([o * t, c], [i, f, g, o, s_i, s_f, s_g, s_o, t, s_t])
    }

    #[inline(always)]
    fn forward_block<F: Float, const UNITS: usize, const FUSED: bool>(
        &self,
        weights: &<K::Weights<F> as Lanes<F>>::Block,
        x: &<K::X<F> as Lanes<F>>::Block,
        _: &<K::X<F> as Lanes<F>>::Block,
        state: &mut [[F; BLOCK]; 2],
        saved: &mut [[F; BLOCK]; 10],
    ) {
        // As `forward`, a gate of all units after the other, so that each choice of an activation is made once.
        let ([of_gates, of_input, of_output], clip) = (self.activations, self.clip_gates);
        let [mut a_i, mut a_f, mut a_g, mut a_o] = [[F::zero(); BLOCK]; 4];
        let [mut p_i, mut p_f, mut p_o] = [[F::zero(); BLOCK]; 3];
        for unit in 0..BLOCK {
            [a_i[unit], a_f[unit], a_g[unit], a_o[unit]] = K::split(K::X::get(x, unit));
            [p_i[unit], p_f[unit], p_o[unit]] = K::peepholes(K::Weights::get(weights, unit));
        }
        let c = state[1];
        for unit in 0..BLOCK {
            a_i[unit] += p_i[unit] * c[unit];
            a_f[unit] += p_f[unit] * c[unit];
        }
        let [i, f, g, o, s_i, s_f, s_g, s_o, t, s_t] = saved;
        of_gates.apply_gate_block::<F, FUSED>(&a_i, clip, i, s_i);
        if K::COUPLED {
            *s_f = [F::zero(); BLOCK];
            for unit in 0..BLOCK {
                f[unit] = F::one() - i[unit];
            }
        } else {
            of_gates.apply_gate_block::<F, FUSED>(&a_f, clip, f, s_f);
        }
        of_input.apply_value_block::<F, FUSED>(&a_g, clip, g, s_g);
        let mut after = [F::zero(); BLOCK];
        for unit in 0..BLOCK {
            after[unit] = self.cell(f[unit] * c[unit] + i[unit] * g[unit]).0;
            a_o[unit] += p_o[unit] * after[unit];
        }
        of_gates.apply_gate_block::<F, FUSED>(&a_o, clip, o, s_o);
        of_output.apply_value_block::<F, FUSED>(&after, None, t, s_t);
        for unit in 0..BLOCK {
            state[0][unit] = o[unit] * t[unit];
        }
        state[1] = after;
    }

    #[inline(always)]
    fn backward<F: Float>(
        &self,
        weights: K::Weights<F>,
        [i, f, g, o, s_i, s_f, s_g, s_o, t, s_t]: [F; 10],
        [_, c]: [F; 2],
        [dh, dc]: [F; 2],
    ) -> PerUnitGrad<F, Self> {
        let [p_i, p_f, p_o] = K::peepholes(weights);
        let (after, inside) = self.cell(f * c + i * g);
        let da_o = dh * t * s_o;
        let dc = dc + dh * o * s_t + da_o * p_o;
        let dc = if inside { dc } else { F::zero() };
        let df = dc * c;
        let di = dc * g - if K::COUPLED { df } else { F::zero() };
        let (da_i, da_f, da_g) = (di * s_i, df * s_f, dc * i * s_g);
        let x = K::join([da_i, da_f, da_g, da_o]);
        let weights = K::join_peepholes([da_i * c, da_f * c, da_o * after]);
        PerUnitGrad { weights, x, u: x, before: [F::zero(), dc * f + da_i * p_i + da_f * p_f] }
    }
}
